import Bytes
import EventLoop
import HTTPWire

/// The state of a connection that speaks HTTP.
final class HTTPExchange {
    @exclusivity(unchecked) var parser = HTTPRequestParser()
    /// The route and the CORS fields of the present request, for its response. Nil while the head
    /// is incomplete.
    @exclusivity(unchecked) var requestInfo: RequestInfo?
    /// The rate of the user of the last API request; nil before the first one.
    @exclusivity(unchecked) var rate: ConnectionRate?
    /// The present request has counted against a limit.
    @exclusivity(unchecked) var isCounted = false
    /// The bytes of the present request's body on the wire.
    @exclusivity(unchecked) var bodyBytes = 0
    @exclusivity(unchecked) var state = State.readingHead
    @exclusivity(unchecked) var requestCount = 0
    /// The head of a later request has begun, and its timeout is running.
    @exclusivity(unchecked) var hasHeadDeadline = false

    enum State {
        /// The head of the next request is being read. Every earlier request is answered, though
        /// its response may be unsent.
        case readingHead
        case receivingBody(IncompleteBody, of: HTTPRequest, HTTPResponseContext)
        /// A handler computes the response outside the loop.
        case awaitingResponse
        /// The chat engine decides whether the WebSocket may be opened.
        case awaitingUpgradeDecision
        /// An Engine.IO request has no response yet.
        case engine(PendingEngineRequest)
    }

    func beginRequest() {
        self.requestInfo = nil
        self.isCounted = false
        self.bodyBytes = 0
    }

    /// The bytes of the present request's body that have arrived, while it is not complete.
    var unfinishedBodyBytes: Int {
        switch self.state {
        case .receivingBody(let body, of: _, _): body.bytes.count
        case .engine(let pending): pending.body?.bytes.count ?? 0
        case .readingHead, .awaitingResponse, .awaitingUpgradeDecision: 0
        }
    }

    /// No request is unanswered.
    var isReadingNextHead: Bool {
        if case .readingHead = self.state { true } else { false }
    }

    /// Nothing is read, because the next request must not be answered before the present one.
    var isReadingForbidden: Bool {
        switch self.state {
        case .awaitingResponse, .awaitingUpgradeDecision: true
        // The loop reads on, so that it notices when the client closes the connection of a poll.
        case .readingHead, .receivingBody, .engine: false
        }
    }

    struct RequestInfo {
        let route: Route
        /// Nil for routes without CORS.
        let crossOrigin: CrossOrigin?
        let trace: TraceParent?
        var method = HTTPMethod.other
        /// The client's address, if a trusted proxy has reported it.
        var forwardedAddress: SocketAddress?
        /// For the log: the origin of a refused page, and at `debug` the user of the token.
        var origin: String?
        var user: String?
        /// The request sends a message.
        var isSend = false
    }

    /// The part of a request's body that has arrived.
    struct IncompleteBody {
        private var decoder: HTTPBodyDecoder
        private(set) var bytes = ByteBuffer()
        /// With the framing of chunks.
        private(set) var wireByteCount = 0
        /// The request has been checked, so that the rest of its body is read.
        var isAdmitted = false

        init(_ decoder: HTTPBodyDecoder) { self.decoder = decoder }

        /// Receives the next part of the body.
        ///
        /// - Parameter offset: the first unread byte of the input.
        /// - Returns: whether the body is complete.
        mutating func receive(
            _ input: UnsafeMutableRawBufferPointer, from offset: inout Int
        ) throws(HTTPError) -> Bool {
            let unread = UnsafeRawBufferPointer(rebasing: input[offset...])
            let count = try self.decoder.decode(unread.bytes, into: &self.bytes)
            offset += count
            self.wireByteCount += count
            return self.decoder.isComplete
        }
    }
}
