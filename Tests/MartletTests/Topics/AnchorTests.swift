// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

@Suite struct AnchorTests {
    @Test("Pieces of a text have the anchors of their bytes, and no others")
    func piecesOfAText() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let bytes = (0..<Int.random(in: 0...100, using: &random)).map { _ in
                UInt8.random(in: 0...3, using: &random) &* 85
            }
            let text = HashedText(bytes)
            for _ in 0..<50 {
                let start = Int.random(in: 0...bytes.count, using: &random)
                let most = start == 0 ? bytes.count : min(Anchor.mostBytes, bytes.count - start)
                let length = Int.random(in: 0...most, using: &random)
                let piece = Array(bytes[start..<start + length])
                try #require(text.anchor(at: start, length: length) == Anchor(piece), "seed \(seed)")
                guard !piece.isEmpty else { continue }
                var other = piece
                other[Int.random(in: 0..<piece.count, using: &random)] ^= 1
                try #require(Anchor(other) != Anchor(piece), "seed \(seed)")
                try #require(Anchor([0] + piece) != Anchor(piece), "seed \(seed)")
            }
        }
        #expect(Anchor([]) == .none)
    }
}
