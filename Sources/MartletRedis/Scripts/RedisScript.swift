// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet

/// The scripts that the server runs. A script is atomic: other clients see everything that it does, or nothing.
///
/// Each script is a file in this folder, whose first comment says what it promises. Those on the stream share the
/// functions of `stream.lua`, which also describes the keys.
enum RedisScript {
    case open, append, tidy, versions, take

    /// The text of the script, in Lua.
    var source: String {
        switch self {
        case .open: Self.onStream(PackageResources.open_lua)
        case .append: Self.onStream(PackageResources.append_lua)
        case .tidy: Self.onStream(PackageResources.tidy_lua)
        case .versions: String(decoding: PackageResources.versions_lua, as: UTF8.self)
        case .take: String(decoding: PackageResources.take_lua, as: UTF8.self)
        }
    }

    private static func onStream(_ script: [UInt8]) -> String {
        let overhead = """
            local eventOverhead, alternateOverhead = \(Event.overheadBytes), \(Event.alternateOverheadBytes)

            """
        return overhead + String(decoding: PackageResources.stream_lua + script, as: UTF8.self)
    }
}
#endif
