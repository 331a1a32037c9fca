// SPDX-License-Identifier: Apache-2.0

extension RandomAccessCollection {
    /// The index of the first element for which a condition holds, or `endIndex`. Takes logarithmic time.
    ///
    /// - Parameter isBehind: If it holds for one element, it must hold for all elements after it.
    @inlinable package func partitioningIndex(where isBehind: (Element) throws -> Bool) rethrows -> Index {
        var start = startIndex
        var count = count
        while count > 0 {
            let middle = index(start, offsetBy: count / 2)
            if try isBehind(self[middle]) {
                count /= 2
            } else {
                start = index(after: middle)
                count -= count / 2 + 1
            }
        }
        return start
    }
}
