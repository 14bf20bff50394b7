import Bytes
import ChatCore
import ChatModel
import Configuration
import DialectKit
import EventLoop
import HTTPWire

/// Answers requests.
extension HTTPServer {
    private static let pacedResponseBytes = 16 << 10

    func httpRequest(_ connection: Connection, _ span: RawSpan) -> HTTPRequest {
        // The admin listener checks the host, so it must be the client's own.
        let host =
            connection.isClient
            ? self.requestedHost(connection, span)
            : self.head.authority.map { String(span, $0) }
        return HTTPRequest(
            method: self.head.method, path: String(span, self.head.path),
            query: self.head.query.map { String(span, $0) },
            host: host,
            origin: self.head.fields.text("origin", in: span),
            authorization: self.head.fields.text("authorization", in: span),
            contentType: self.head.fields.text("content-type", in: span),
            ifNoneMatch: self.head.fields.joined("if-none-match", in: span),
            acceptEncoding: self.head.fields.joined("accept-encoding", in: span),
            fetchSite: connection.isClient
                ? nil : self.head.fields.text("sec-fetch-site", in: span),
            fetchMode: connection.isClient
                ? nil : self.head.fields.text("sec-fetch-mode", in: span),
            peer: connection.peer, clientAddress: self.clientAddress(connection),
            credentials: connection.isClient ? self.credentials : .none,
            allowsAnonymous: self.context.settings.allowsAnonymous,
            isLoopback: self.isFromThisMachine(connection),
            linkBase: connection.isClient ? self.linkBase(connection, span) : "",
            limits: self.context.live.limits)
    }

    mutating func answer(
        _ connection: Connection, _ request: HTTPRequest, body: [UInt8],
        _ responseContext: HTTPResponseContext
    ) {
        var responseContext = responseContext
        // A drain may have begun while the body was received.
        if self.context.isDraining { responseContext.keepsAlive = false }
        do throws(HTTPError) {
            guard case .http(let exchange) = connection.phase,
                let route = exchange.requestInfo?.route
            else { return }
            if route.isRateLimited {
                try self.checkRate(request, exchange, &responseContext)
            }
            let handler = try Self.handler(of: route, for: request)
            if let response = try handler.asyncResponse(for: request, body: body) {
                return try self.beginAsyncResponse(
                    response, connection, exchange, responseContext)
            }
            self.respond(connection, try handler.answer(request, body: body), responseContext)
        } catch {
            self.refuse(connection, error, responseContext)
        }
    }

    /// Checks a request whose client waits for `100 Continue`: it sends no body in vain, for
    /// example without a valid token.
    func checkBeforeBody(_ request: HTTPRequest, _ route: Route) throws(HTTPError) {
        try Self.handler(of: route, for: request).checkBeforeBody(request)
    }

    /// - Throws: 404 or 405 if the route does not take the request.
    private static func handler(of route: Route, for request: HTTPRequest) throws(HTTPError)
        -> any RequestHandler
    {
        guard case .handler(let handler) = route.target else { throw .notFound }
        if route.methods == .getAndHead, request.method != .get, request.method != .head {
            throw .methodNotAllowed("GET", "HEAD")
        }
        return handler
    }

    /// Counts a request against the same rate as a message over a WebSocket. If the user goes on
    /// sending above its limit, the connection closes after the response.
    ///
    /// A request whose body arrives in parts counts as one at first, and with its body at the end.
    func checkRate(
        _ request: HTTPRequest, _ exchange: HTTPExchange,
        _ responseContext: inout HTTPResponseContext
    ) throws(HTTPError) {
        let (limits, now) = (self.context.userLimits, self.context.now.monotonic)
        let user = self.context.shared.rates.rate(of: request.limitKey, limits: limits, at: now)
        if exchange.rate?.user !== user { exchange.rate = ConnectionRate(user) }
        let cost = exchange.cost(limits) - (exchange.isCounted ? 1 : 0)
        exchange.isCounted = true
        guard cost > 0, let wait = user.consume(limits: limits, at: now, cost: cost) else {
            return
        }
        if user.isOverdrawn(limits: limits) { responseContext.keepsAlive = false }
        self.context.counters.rateLimited += 1
        throw .rateLimited(retryAfter: wait)
    }

    /// Counts a new WebSocket or session of a user.
    ///
    /// - Returns: why it is refused; nil if it is not.
    func connectRefusal(of key: LimitKey) -> HTTPError? {
        let (limits, now) = (self.context.userLimits, self.context.now.monotonic)
        let user = self.context.shared.rates.rate(of: key, limits: limits, at: now)
        guard let wait = user.consumeConnect(limits: limits, at: now) else { return nil }
        self.context.counters.rateLimited += 1
        return .rateLimited(retryAfter: wait)
    }

    /// The user of the present request, by its credentials.
    func limitKey(_ connection: Connection) -> LimitKey {
        LimitKey(self.credentials, from: self.clientAddress(connection).ip)
    }

    /// Counts a request that has counted for no user, for its address: of a page, of health, of
    /// Engine.IO, a preflight, and each that is refused before its user counts. It is answered even
    /// above the limit, because a balancer's probes may have the same address. But then its
    /// connection closes.
    private func countForAddress(
        _ connection: Connection, _ responseContext: inout HTTPResponseContext
    ) {
        guard connection.isClient, case .http(let exchange) = connection.phase, !exchange.isCounted
        else { return }
        exchange.isCounted = true
        let (limits, now) = (self.context.userLimits, self.context.now.monotonic)
        let rate = self.context.shared.rates.requestRate(
            of: self.clientAddress(connection).ip, limits: limits, at: now)
        if rate.consume(limits: limits, at: now, cost: exchange.cost(limits)) != nil,
            rate.isOverdrawn(limits: limits)
        {
            responseContext.keepsAlive = false
        }
    }

    /// The information about the request that is being answered on this connection.
    func requestInfo(_ connection: Connection) -> HTTPExchange.RequestInfo? {
        guard case .http(let exchange) = connection.phase else { return nil }
        return exchange.requestInfo
    }

    mutating func respond(
        _ connection: Connection, _ response: HTTPResponse, _ responseContext: HTTPResponseContext
    ) {
        var responseContext = responseContext
        self.countForAddress(connection, &responseContext)
        let crossOrigin = self.requestInfo(connection)?.crossOrigin?.fields ?? []
        let transport = Self.transportFields(of: connection)
        self.responseBuffer.removeAll()
        self.responseBuffer.append(
            httpResponse: response.status, responseContext, contentType: response.contentType,
            fields: response.fields + crossOrigin + transport, body: response.body)
        guard self.mayWait(connection) else {
            return self.refuse(connection, .answersWaiting, responseContext)
        }
        self.sendResponse(connection, response.status, responseContext)
    }

    /// Whether the response may wait for the client to read it. A large one may not if the user's
    /// other connections have too many waiting.
    private func mayWait(_ connection: Connection) -> Bool {
        guard self.responseBuffer.count >= Self.pacedResponseBytes,
            case .http(let exchange) = connection.phase,
            exchange.requestInfo?.route.isRateLimited == true, let rate = exchange.rate
        else { return true }
        return rate.mayWait(self.context.live.limits.outboundBytes)
    }

    /// Sends an error, counts it and logs the reason.
    mutating func refuse(
        _ connection: Connection, _ error: HTTPError, _ responseContext: HTTPResponseContext
    ) {
        let info = self.requestInfo(connection)
        let error = error.withChallenge
        if let reason = RefusalReason(error) {
            self.context.recordRefusal(reason, error.message, connection, info)
        }
        if let info, info.route.errorBody == .api {
            let response = HTTPResponse(apiError: error, outcome: info.isSend ? .refused : nil)
            return self.respond(connection, response, responseContext)
        }
        var responseContext = responseContext
        self.countForAddress(connection, &responseContext)
        let fields =
            error.fields + (info?.crossOrigin?.fields ?? []) + Self.transportFields(of: connection)
        self.responseBuffer.removeAll()
        self.responseBuffer.append(
            httpError: HTTPError(error.status, error.message, fields: fields), responseContext)
        self.sendResponse(connection, error.status, responseContext)
    }

    /// A browser that has used TLS once never tries without it (RFC 6797).
    private static func transportFields(of connection: Connection) -> [HTTPField] {
        connection.tls == nil ? [] : self.strictTransport
    }

    private static let strictTransport = [
        HTTPField("Strict-Transport-Security", "max-age=31536000")
    ]

    private func sendResponse(
        _ connection: Connection, _ status: HTTPStatus, _ responseContext: HTTPResponseContext
    ) {
        self.context.countResponse(status)
        self.context.logAnswered(connection, status, self.requestInfo(connection))
        let frame = SharedFrame(self.responseBuffer.bytes)
        // Small responses are written together. A large one may exceed the limit of pending bytes.
        if frame.count < Self.pacedResponseBytes {
            self.pool.send(connection, frame)
        } else {
            self.pool.sendPaced(connection, frame)
            if connection.isConnected, case .http(let exchange) = connection.phase {
                exchange.rate?.setWaiting(connection.backlog.totalBytes)
            }
        }
        if responseContext.keepsAlive {
            self.pool.setDeadline(connection, after: self.pool.httpIdleLimit(connection))
        } else {
            self.pool.beginClose(connection, .lingerWhenSent)
        }
    }
}

extension HTTPExchange {
    /// The cost of the present request, in messages. A body counts with the framing of its chunks.
    fileprivate func cost(_ limits: UserLimits) -> Float {
        Float(1 + self.bodyBytes / limits.messageBytes)
    }
}
