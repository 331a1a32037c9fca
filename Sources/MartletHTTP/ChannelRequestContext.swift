// SPDX-License-Identifier: Apache-2.0

public import Hummingbird
public import NIOCore

/// A request context that knows the connection the request came on. Streams are written to it directly.
public protocol ChannelRequestContext: RequestContext {
    var channel: any Channel { get }
}

/// The context of applications that need no other.
public struct EventStreamRequestContext: ChannelRequestContext {
    public var coreContext: CoreRequestContextStorage
    public let channel: any Channel

    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}
