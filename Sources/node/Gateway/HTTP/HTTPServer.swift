import Bytes
import ChatCore
import ChatModel
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import Identity
import Telemetry

/// Reads HTTP/1.1 requests, one after the other, and answers them by the rules of their routes,
/// until one of them upgrades the connection.
struct HTTPServer {
    let context: LoopContext
    let pool: ConnectionPool
    /// The head of the request that is being read.
    var head = HTTPRequestHead()
    /// The credentials of that request.
    var credentials = Credentials.none
    /// The last `Host` that any client may use, because most requests have the same one.
    var allowedHost: [UInt8] = []
    /// New clients in the present second.
    private var connects: (second: Int64, count: Int) = (0, 0)
    /// How many asynchronous responses are being computed.
    var asyncResponseCount = 0
    /// The tasks that compute responses for clients.
    var asyncResponses: [SocketToken: Task<Void, Never>] = [:]
    var responseBuffer = ByteBuffer(capacity: 4096)

    init(_ context: LoopContext, _ pool: ConnectionPool) {
        self.context = context
        self.pool = pool
    }

    /// The task of the loop for a request that the server does not answer itself.
    enum RequestAction {
        case upgrade(UpgradeRequest)
        /// A request for Engine.IO, whose head begins at this offset.
        case engine(EngineEndpoint, start: Int, HTTPResponseContext)
        /// The node admits no clients at present. Engine.IO clients expect the errors of their
        /// protocol.
        case engineUnavailable(HTTPError, HTTPResponseContext)
        /// The body of an Engine.IO POST.
        case engineBody([UInt8])
        case engineBodyTooLong
    }

    // MARK: Reading

    /// Reads the next request, or the next part of its body.
    ///
    /// - Parameter offset: the first unread byte.
    mutating func read(
        _ connection: Connection, _ exchange: HTTPExchange,
        _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) -> RequestAction? {
        switch exchange.state {
        case .readingHead: break
        case .receivingBody:
            self.readBody(connection, exchange, buffer, &offset)
            return nil
        case .engine(let pending) where pending.body != nil:
            return self.readEngineBody(connection, exchange, pending, buffer, &offset)
        case .engine:
            self.pauseIfUnreadIsLarge(connection, unreadBytes: buffer.count - offset)
            return nil
        case .awaitingResponse, .awaitingUpgradeDecision: return nil
        }
        exchange.beginRequest()
        do throws(HTTPError) {
            return try self.readHead(connection, exchange, buffer, &offset)
        } catch {
            self.setUnreadableRequestInfo(
                connection, exchange, UnsafeRawBufferPointer(rebasing: buffer[offset...]))
            // The method of an unreadable request is unknown, so it does not count as HEAD.
            self.refuse(connection, error, self.context.closingContext)
            return nil
        }
    }

    private mutating func readHead(
        _ connection: Connection, _ exchange: HTTPExchange,
        _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) throws(HTTPError) -> RequestAction? {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset...])
        let span = bytes.bytes
        let limits = HTTPLimits(
            headBytes: self.context.live.limits.headerBytes,
            requestLineBytes: min(8192, self.context.live.limits.headerBytes))
        guard try exchange.parser.parse(span, into: &self.head, limits: limits) else {
            // The timeout of a later request begins with its first byte. The first request's
            // timeout is already running.
            if exchange.requestCount > 0, !exchange.hasHeadDeadline {
                exchange.hasHeadDeadline = true
                self.pool.setDeadline(connection, after: self.context.live.limits.header)
            }
            return nil
        }
        let start = offset
        offset += self.head.byteCount
        exchange.requestCount += 1
        exchange.hasHeadDeadline = false
        self.context.counters.httpRequests += 1
        let info = self.makeRequestInfo(connection, span)
        exchange.requestInfo = info
        return try self.dispatch(connection, exchange, info, span, start: start)
    }

    /// The client of a pending poll has nothing to send. A little input is buffered, so that the
    /// loop notices when the connection closes.
    private func pauseIfUnreadIsLarge(_ connection: Connection, unreadBytes: Int) {
        if unreadBytes > 16 << 10 { self.pool.pauseReading(connection) }
    }

    /// Reads the next request, unless the present one is unanswered or a response is unsent.
    ///
    /// Otherwise a client that sends requests and receives nothing could fill the memory. The
    /// answer or the drained backlog calls this again.
    func resumeReadingIfAnswered(_ connection: Connection, _ exchange: HTTPExchange) {
        guard !exchange.isReadingForbidden, connection.backlog.isEmpty else { return }
        self.pool.resumeReading(connection)
    }

    /// Records the user of a request for the log.
    private func recordRequest(_ exchange: HTTPExchange) {
        guard self.context.shared.logger.isEnabled(.debug),
            case .bearer(let identity) = self.credentials
        else { return }
        exchange.requestInfo?.user = "\(identity.tenant)/\(UserID(of: identity))"
    }

    // MARK: Routing

    /// Answers the request whose head was parsed, or begins to receive its body.
    ///
    /// - Parameter start: the offset of the request's first byte.
    private mutating func dispatch(
        _ connection: Connection, _ exchange: HTTPExchange, _ info: HTTPExchange.RequestInfo,
        _ span: RawSpan, start: Int
    ) throws(HTTPError) -> RequestAction? {
        let route = info.route
        // After an unread body the next request cannot be found.
        let closingContext = self.responseContext(willClose: true)
        let responseContext = self.responseContext(willClose: self.context.isDraining)
        let bodilessContext = self.head.body == .bytes(0) ? responseContext : closingContext
        let engine = self.engineEndpoint(route)
        if connection.exceededLimit != nil { self.admitToken(connection, span) }
        if let refusal = self.availabilityError(connection, route, span) {
            guard engine == nil else { return .engineUnavailable(refusal, closingContext) }
            self.refuse(connection, refusal, closingContext)
            return nil
        }
        if let refusal = self.hostError(connection, route, span) {
            self.refuse(connection, refusal, closingContext)
            return nil
        }
        if let engine { return .engine(engine, start: start, responseContext) }
        if let crossOrigin = info.crossOrigin,
            self.answerCrossOrigin(crossOrigin, route, connection, span, bodilessContext)
        {
            return nil
        }
        do throws(HTTPError) {
            // Handlers need the credentials too. Those of the previous request may be another
            // user's.
            let dialectRequest =
                connection.isClient ? try self.dialectRequest(connection, span) : nil
            self.credentials = dialectRequest?.credentials ?? .none
            self.recordToken(connection)
            self.recordRequest(exchange)
            if connection.isClient,
                let upgrade = try self.upgradeRequest(connection, route, dialectRequest, span)
            {
                return .upgrade(upgrade)
            }
        } catch {
            exchange.requestInfo?.origin = self.head.fields.text("origin", in: span)
            // A client that connects too often needs a new connection for its next try.
            self.refuse(
                connection, error,
                error.status == .tooManyRequests ? closingContext : bodilessContext)
            return nil
        }
        let request = self.httpRequest(connection, span)
        do throws(HTTPError) {
            if self.head.expectsContinue { try self.checkBeforeBody(request, route) }
            try self.beginBody(connection, exchange, request, responseContext)
        } catch {
            self.refuse(connection, error, closingContext)
        }
        return nil
    }

    /// - Parameter willClose: whether the connection closes after the response in any case.
    func responseContext(willClose: Bool) -> HTTPResponseContext {
        HTTPResponseContext(self.head, date: self.context.date, willClose: willClose)
    }

    /// The Engine.IO endpoint of the request; nil for OPTIONS, which Engine.IO does not use.
    private func engineEndpoint(_ route: Route) -> EngineEndpoint? {
        guard case .engine(let engine) = route.target, self.head.method != .options else {
            return nil
        }
        return engine
    }

    /// Whether an Engine.IO request names a session.
    private func namesEngineSession(_ span: RawSpan) -> Bool {
        do throws(HTTPError) {
            return try self.head.queryValue("sid", in: span) != nil
        } catch {
            // The refusal reports the bad query.
            return true
        }
    }

    /// The reason to refuse a request at present; nil if there is none.
    private func availabilityError(
        _ connection: Connection, _ route: Route, _ span: RawSpan
    ) -> HTTPError? {
        let status = self.context.shared.health.status
        // The node may hand over its shards before this loop drains.
        let isDraining = self.context.isDraining || status == .draining
        guard
            isDraining || self.context.isEvicted || status == .starting
                || connection.exceededLimit != nil
        else { return nil }
        switch route.whileUnavailable {
        case .answer: return nil
        case .answerSessions:
            if status != .starting, self.head.method != .options, self.namesEngineSession(span) {
                return nil
            }
        case .refuse: break
        }
        if isDraining { return .nodeDraining }
        if self.context.isEvicted { return .nodeEvicted }
        return status == .starting ? .nodeStarting : connection.exceededLimit?.refusal
    }

    /// Finds the route of the request, and its CORS fields if the route has any.
    private func makeRequestInfo(_ connection: Connection, _ span: RawSpan)
        -> HTTPExchange.RequestInfo
    {
        let shared = self.context.shared
        let router = connection.isClient ? shared.clientRouter : shared.adminRouter
        let route = router.route(
            for: span.extracting(self.head.path),
            wantsWebSocket: WebSocketUpgrade.isRequested(by: self.head, in: span))
        let trace = TraceParent(self.head.fields, in: span)
        let address = self.forwardedAddress(connection, span)
        // A connect to a WebSocket costs nothing for CORS.
        guard route.crossOrigin != .none else {
            return .init(
                route: route, crossOrigin: nil, trace: trace, method: self.head.method,
                forwardedAddress: address)
        }
        let origin = self.head.fields.text("origin", in: span)
        let crossOrigin = CrossOrigin(
            origin, host: self.requestedHost(connection, span),
            isSecure: self.isSecure(connection, span),
            self.context.live.origins)
        return .init(
            route: route, crossOrigin: crossOrigin, trace: trace, method: self.head.method,
            forwardedAddress: address, origin: origin,
            isSend: route.sendsMessages && self.head.method == .post)
    }

    /// Prepares the error for a request whose head cannot be parsed: its shape depends on the path.
    func setUnreadableRequestInfo(
        _ connection: Connection, _ exchange: HTTPExchange, _ bytes: UnsafeRawBufferPointer
    ) {
        guard connection.isClient else { return }
        let route = self.context.shared.clientRouter.route(ofUnreadable: bytes)
        guard route.errorBody == .api else { return }
        exchange.requestInfo = HTTPExchange.RequestInfo(
            route: route,
            crossOrigin: CrossOrigin(
                nil, host: nil, isSecure: false, self.context.live.origins), trace: nil)
    }

    /// Answers a preflight, and refuses a request of a page that is not allowed.
    ///
    /// - Returns: whether the request was answered.
    private mutating func answerCrossOrigin(
        _ crossOrigin: CrossOrigin, _ route: Route, _ connection: Connection, _ span: RawSpan,
        _ responseContext: HTTPResponseContext
    ) -> Bool {
        let isPreflight =
            self.head.method == .options && self.head.field("origin", in: span) != nil
            && self.head.field("access-control-request-method", in: span) != nil
        guard crossOrigin.isAllowed || !isPreflight && route.crossOrigin == .anyOrigin else {
            self.refuse(connection, CrossOrigin.refusal, responseContext)
            return true
        }
        if isPreflight {
            self.respond(
                connection, CrossOrigin.preflight(self.context.live.origins), responseContext)
        }
        return isPreflight
    }

    /// Counts a new client against the rate of this second. Each loop has its share of the rate.
    mutating func admitClient() -> Bool {
        let second = self.context.now.monotonic / 1000
        if self.connects.second != second { self.connects = (second, 0) }
        self.connects.count += 1
        return self.connects.count
            <= max(1, self.context.live.limits.connectsPerSecond / self.context.settings.loopCount)
    }
}

extension LoopContext {
    /// The context of an error after which the connection closes.
    var closingContext: HTTPResponseContext {
        HTTPResponseContext(answersHead: false, keepsAlive: false, date: self.date)
    }
}

extension String {
    /// Decodes a range of bytes as UTF-8, with replacement of invalid bytes.
    init(_ bytes: RawSpan, _ range: Range<Int>) {
        self = bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
