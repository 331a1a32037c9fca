// SPDX-License-Identifier: Apache-2.0

/// The hub does not do what the model does.
package struct HubModelFailure: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

func verify(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    guard condition else { throw HubModelFailure(message()) }
}
