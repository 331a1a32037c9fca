// SPDX-License-Identifier: Apache-2.0

/// What an event that was accepted survives.
public enum Durability: String, CaseIterable, Sendable {
    /// The end of the process, of the operating system, and of the power supply.
    case commit
    /// The end of the process. When the operating system or the power fails, the newest events may be lost; nothing older
    /// is, and the file stays whole.
    case os
}
