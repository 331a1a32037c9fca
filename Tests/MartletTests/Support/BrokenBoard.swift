// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

/// What a ``BrokenBoard`` does wrong.
enum BrokenBoardFault: CaseIterable {
    case renewsNothing
    case losesAByte
    case keepsTheFirst
    case keepsWhatIsRemoved
    case neverExpires
    case ignoresRenewals
    case takesAnySize
    case countsByItself

    /// How the name of the check begins that finds out.
    var check: String {
        switch self {
        case .renewsNothing: "An empty board has no postings, and removes and renews none"
        case .losesAByte, .countsByItself: "Every node sees a posting byte for byte"
        case .keepsTheFirst: "A posting replaces the last one of its node"
        case .keepsWhatIsRemoved: "A removed posting is gone for every node"
        case .neverExpires: "A posting that is not renewed expires"
        case .ignoresRenewals: "Renewing a posting changes only its expiry"
        case .takesAnySize: "A board takes the largest posting, and refuses a larger one"
        }
    }
}

/// A board that breaks the contract in one way.
struct BrokenBoard: NodeBoard {
    private let fault: BrokenBoardFault
    private let board: MemoryBoard<ManualClock>

    init(_ fault: BrokenBoardFault, on board: MemoryBoard<ManualClock>) {
        self.fault = fault
        self.board = board
    }

    var maximumBytes: Int { board.maximumBytes }

    func post(_ posting: NodePosting, as node: NodeName, for expiry: Duration) async throws {
        var posting = posting
        switch fault {
        case .losesAByte: posting.bytes = Array(posting.bytes.prefix(1000))
        case .keepsTheFirst where try await board.posting(of: node) != nil: return
        case .takesAnySize: posting.bytes = Array(posting.bytes.prefix(maximumBytes))
        case .countsByItself: posting.version = (try await board.posting(of: node)?.version ?? 0) + 1
        default: break
        }
        try await board.post(posting, as: node, for: fault == .neverExpires ? .seconds(86_400) : expiry)
    }

    func renew(_ node: NodeName, for expiry: Duration) async throws -> Bool {
        switch fault {
        case .renewsNothing: true
        case .ignoresRenewals: try await board.posting(of: node) != nil
        default: try await board.renew(node, for: expiry)
        }
    }

    func remove(_ node: NodeName) async throws {
        if fault != .keepsWhatIsRemoved { try await board.remove(node) }
    }

    func versions() async throws -> [NodeName: UInt64] { try await board.versions() }
    func posting(of node: NodeName) async throws -> NodePosting? { try await board.posting(of: node) }
}
