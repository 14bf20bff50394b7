import Bytes
import HTTPWire

/// The state of a connection that speaks HTTP.
final class HTTPExchange {
    @exclusivity(unchecked) var parser = HTTPRequestParser()
    /// The route and the CORS fields of the present request, for its response. Nil while the head
    /// is incomplete.
    @exclusivity(unchecked) var requestInfo: RequestInfo?
    /// How many more API requests this connection may send; nil before the first one.
    @exclusivity(unchecked) var rateLimiter: TokenBucket?
    /// An asynchronous response is being prepared.
    @exclusivity(unchecked) var isResponsePending = false
    /// The request whose body is still being received.
    @exclusivity(unchecked) var incompleteRequest: IncompleteRequest?
    /// An Engine.IO request without a response: a poll, or a POST whose body is being received.
    @exclusivity(unchecked) var engineRequest: PendingEngineRequest?
    @exclusivity(unchecked) var requestCount = 0
    /// The head of a later request has begun, and its timeout is running.
    @exclusivity(unchecked) var isReadingHead = false

    struct RequestInfo {
        let route: Route
        /// Nil for routes without CORS.
        let crossOrigin: CrossOrigin?
        /// The request sends a message.
        var isSend = false
    }

    struct IncompleteRequest {
        var decoder: HTTPBodyDecoder
        var body = ByteBuffer()
        /// Nil for an Engine.IO POST.
        let request: HTTPRequest?
        let responseContext: HTTPResponseContext
    }
}
