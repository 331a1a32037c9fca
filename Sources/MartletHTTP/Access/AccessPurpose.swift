// SPDX-License-Identifier: Apache-2.0

/// What a request is about to do with a hub. The two may be governed by different keys.
public enum AccessPurpose: Hashable, Sendable, CaseIterable {
    case subscribe
    case publish
}
