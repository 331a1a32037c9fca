// SPDX-License-Identifier: Apache-2.0

import Martlet

/// What the model says of a subscription that resumes.
struct ModelExpectation {
    /// Where it goes on without a gap, and where with one.
    var place: ModelPlace
    var placeBehindGap: ModelPlace
    /// Whether there has to be a gap, and whether there may be one.
    var needsGap: Bool
    var allowsGap: Bool
    var reasons: Set<Gap.Reason>
}
