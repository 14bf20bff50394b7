import Bytes
import HTTPWire

/// The state of a connection that speaks HTTP.
final class HTTPExchange {
    var parser = HTTPRequestParser()
    /// The route and the CORS fields of the present request, for its response. Nil while the head
    /// is incomplete.
    var requestInfo: RequestInfo?
    /// How many more API requests this connection may send; nil before the first one.
    var rateLimiter: TokenBucket?
    /// An asynchronous response is being prepared.
    var isResponsePending = false
    /// The request whose body is still being received.
    var incompleteRequest: IncompleteRequest?
    /// An Engine.IO request without a response: a poll, or a POST whose body is being received.
    var engineRequest: PendingEngineRequest?
    var requestCount = 0
    /// The head of a later request has begun, and its timeout is running.
    var isReadingHead = false

    struct RequestInfo {
        let route: Route
        /// Nil for routes without CORS.
        let crossOrigin: CrossOrigin?
    }

    struct IncompleteRequest {
        var decoder: HTTPBodyDecoder
        var body = ByteBuffer()
        /// Nil for an Engine.IO POST.
        let request: HTTPRequest?
        let responseContext: HTTPResponseContext
    }
}
