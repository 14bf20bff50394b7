import HTTPWire

/// An Engine.IO request on an HTTP connection, until its response.
///
/// A class, because every connection begins with a request and few of those are for Engine.IO.
final class PendingEngineRequest {
    var responseContext: HTTPResponseContext
    /// The requested upgrade, if the request is for a WebSocket that takes over a session.
    let upgrade: WebSocketUpgrade?
    /// The body of a POST while it is being received.
    var body: HTTPExchange.IncompleteBody?

    init(_ responseContext: HTTPResponseContext, upgrade: WebSocketUpgrade? = nil) {
        self.responseContext = responseContext
        self.upgrade = upgrade
    }
}
