// SPDX-License-Identifier: Apache-2.0

public import Hummingbird
public import NIOCore

/// A request context with the connection of the request. The hub writes streams directly to the connection.
public protocol EventStreamRequestContext: RequestContext {
    /// The connection of the request.
    var channel: any Channel { get }
}

/// The context for applications that need nothing else from it.
public struct BasicEventStreamRequestContext: EventStreamRequestContext {
    /// Hummingbird's part of the context.
    public var coreContext: CoreRequestContextStorage
    public let channel: any Channel

    /// Made by the router for each request.
    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}
