import Bytes
import ChatCore
import ChatEngine
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import Identity
import Synchronization

/// Handles HTTP/1.1 requests, one after the other, until one of them upgrades the connection.
extension LoopState {
    private static let pacedResponseBytes = 16 << 10

    mutating func readRequests(
        _ slot: Int, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) {
        guard exchange.incompleteRequest == nil else {
            return self.readBody(slot, exchange, buffer, &offset)
        }
        guard exchange.engineRequest == nil else { return self.pauseIfUnreadIsLarge(slot) }
        exchange.requestInfo = nil
        do throws(HTTPError) {
            try self.readHead(slot, exchange, buffer, &offset)
        } catch {
            self.setUnreadableRequestInfo(
                slot, exchange, UnsafeRawBufferPointer(rebasing: buffer[offset...]))
            // The method of an unreadable request is unknown, so it does not count as HEAD.
            self.refuse(
                slot, error,
                HTTPResponseContext(answersHead: false, keepsAlive: false, date: self.date))
        }
    }

    private mutating func readHead(
        _ slot: Int, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) throws(HTTPError) {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset...])
        let span = bytes.bytes
        let limits = HTTPLimits(
            headBytes: self.live.limits.headerBytes,
            requestLineBytes: min(8192, self.live.limits.headerBytes))
        guard try exchange.parser.parse(span, into: &self.head, limits: limits) else {
            // The timeout of a later request begins with its first byte. The first request's
            // timeout is already running.
            if exchange.requestCount > 0, !exchange.isReadingHead {
                exchange.isReadingHead = true
                self.setDeadline(slot, after: self.live.limits.header)
            }
            return
        }
        let start = offset
        offset += self.head.byteCount
        exchange.requestCount += 1
        exchange.isReadingHead = false
        self.counters.httpRequests += 1
        exchange.requestInfo = self.makeRequestInfo(slot, span)
        try self.routeRequest(slot, exchange, buffer, &offset, from: start, span)
    }

    /// Answers the request whose head was parsed, or begins to receive its body.
    ///
    /// - Parameter start: the offset of the request's first byte.
    private mutating func routeRequest(
        _ slot: Int, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int, from start: Int, _ span: RawSpan
    ) throws(HTTPError) {
        // After an unread body the next request cannot be found.
        let closingContext = HTTPResponseContext(self.head, date: self.date, willClose: true)
        let responseContext = HTTPResponseContext(
            self.head, date: self.date, willClose: self.isDraining)
        if self.isClient(slot), let refusal = self.availabilityError(slot, span) {
            self.counters.refusedConnections += 1
            // Engine.IO clients expect the errors of their protocol.
            guard !self.isEngineRequest(span) else {
                return self.refuseEngineRequest(slot, .unavailable, closingContext, [])
            }
            self.refuse(slot, refusal, closingContext)
            return
        }
        if self.isClient(slot), self.isEngineRequest(span) {
            do throws(HTTPError) {
                try self.readEngineRequest(
                    slot, exchange, span,
                    request: UnsafeRawBufferPointer(rebasing: buffer[start...]), &offset,
                    end: buffer.count, responseContext
                )
            } catch {
                self.refuse(slot, error, closingContext)
            }
            return
        }
        if let crossOrigin = exchange.requestInfo?.crossOrigin,
            self.answerCrossOrigin(
                crossOrigin, slot, span,
                self.head.body == .bytes(0) ? responseContext : closingContext)
        {
            return
        }
        do throws(HTTPError) {
            if self.isClient(slot),
                try self.openWebSocket(
                    slot, span, unread: UnsafeRawBufferPointer(rebasing: buffer[offset...]), &offset
                )
            {
                return
            }
        } catch {
            self.refuse(slot, error, self.head.body == .bytes(0) ? responseContext : closingContext)
            return
        }
        let request = self.httpRequest(slot, span)
        do throws(HTTPError) {
            try self.beginBody(slot, exchange, request, responseContext)
        } catch {
            self.refuse(slot, error, closingContext)
        }
    }

    /// The reason to refuse a client at present. Health probes are always answered, for load
    /// balancers.
    private mutating func availabilityError(_ slot: Int, _ span: RawSpan) -> HTTPError? {
        let status = self.shared.health.status
        // The node may hand over its shards before this loop drains.
        let isDraining = self.isDraining || status == .draining
        guard isDraining || status == .starting || self.connections[slot]!.isOverLimit else {
            return nil
        }
        guard !PublicEndpoints.isProbe(self.head, in: span),
            status == .starting || !self.namesEngineSession(span)
        else { return nil }
        let sentence =
            isDraining
            ? "The node is draining; connect again."
            : status == .starting
                ? "The node is starting; connect again."
                : "The node has all the connections it may have."
        return HTTPError(.serviceUnavailable, sentence, fields: [HTTPField("Retry-After", "1")])
    }

    /// The client of a pending poll has nothing to send. A little input is buffered, so that the
    /// loop notices when the connection closes.
    private mutating func pauseIfUnreadIsLarge(_ slot: Int) {
        if self.connections[slot]!.unread.count > 16 << 10 { self.pauseReading(slot) }
    }

    /// Begins to receive the body of an Engine.IO POST.
    mutating func beginPostBody(
        _ slot: Int, _ exchange: HTTPExchange, byteLimit: Int,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        let decoder = try HTTPBodyDecoder(self.head.body, byteLimit: byteLimit)
        guard !decoder.isComplete else { return self.endPost(slot, exchange, []) }
        if self.head.expectsContinue { self.sendContinue(slot) }
        exchange.incompleteRequest = HTTPExchange.IncompleteRequest(
            decoder: decoder, request: nil, responseContext: responseContext)
        self.setDeadline(slot, after: self.live.limits.body)
    }

    private mutating func sendContinue(_ slot: Int) {
        self.frameBuffer.removeAll()
        self.frameBuffer.appendHTTPContinue()
        self.send(slot, SharedFrame(self.frameBuffer.bytes))
    }

    /// Nil for paths without CORS, such as those of WebSockets, so that a connect costs nothing for
    /// it.
    private mutating func makeRequestInfo(_ slot: Int, _ span: RawSpan) -> HTTPExchange.RequestInfo?
    {
        guard self.isClient(slot), CrossOrigin.applies(self.head, in: span) else { return nil }
        let crossOrigin = CrossOrigin(
            self.head.fields.text("origin", in: span), host: self.requestedHost(slot, span),
            isSecure: self.isSecure(slot, span),
            self.live.origins)
        return HTTPExchange.RequestInfo(
            path: self.head.pathText(in: span), crossOrigin: crossOrigin)
    }

    /// Prepares the error for a request whose head cannot be parsed: its shape depends on the path.
    func setUnreadableRequestInfo(
        _ slot: Int, _ exchange: HTTPExchange, _ bytes: UnsafeRawBufferPointer
    ) {
        guard self.isClient(slot), PublicEndpoints.isAPI(unreadable: bytes) else { return }
        exchange.requestInfo = HTTPExchange.RequestInfo(
            path: "/api/",
            crossOrigin: CrossOrigin(nil, host: nil, isSecure: false, self.live.origins))
    }

    /// Answers a preflight, and refuses a request of a page that is not allowed. A health probe is
    /// answered for any page; the browser hides the response.
    ///
    /// - Returns: whether the request was answered.
    private mutating func answerCrossOrigin(
        _ crossOrigin: CrossOrigin, _ slot: Int, _ span: RawSpan,
        _ responseContext: HTTPResponseContext
    ) -> Bool {
        let isPreflight =
            self.head.method == .options && self.head.field("origin", in: span) != nil
            && self.head.field("access-control-request-method", in: span) != nil
        guard crossOrigin.isAllowed || !isPreflight && PublicEndpoints.isProbe(self.head, in: span)
        else {
            self.counters.refusedConnections += 1
            self.refuse(slot, CrossOrigin.refusal, responseContext)
            return true
        }
        if isPreflight {
            self.respond(slot, CrossOrigin.preflight(self.live.origins), responseContext)
        }
        return isPreflight
    }

    private mutating func beginBody(
        _ slot: Int, _ exchange: HTTPExchange, _ request: HTTPRequest,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        let decoder = try HTTPBodyDecoder(self.head.body, byteLimit: self.live.limits.bodyBytes)
        if decoder.isComplete {
            self.answerRequest(slot, request, body: [], responseContext)
            return
        }
        if self.head.expectsContinue { self.sendContinue(slot) }
        exchange.incompleteRequest = HTTPExchange.IncompleteRequest(
            decoder: decoder, request: request, responseContext: responseContext)
        self.setDeadline(slot, after: self.live.limits.body)
    }

    private mutating func readBody(
        _ slot: Int, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) {
        guard var pending = exchange.incompleteRequest else { return }
        exchange.incompleteRequest = nil  // Otherwise the body would be copied each time.
        do throws(HTTPError) {
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset...])
            offset += try pending.decoder.decode(bytes.bytes, into: &pending.body)
        } catch {
            if exchange.engineRequest != nil, error.status == .contentTooLarge {
                return self.endPostTooLong(slot, exchange)
            }
            self.refuse(
                slot, error,
                HTTPResponseContext(
                    answersHead: pending.responseContext.answersHead, keepsAlive: false,
                    date: self.date))
            return
        }
        guard pending.decoder.isComplete else {
            exchange.incompleteRequest = pending
            return
        }
        if let request = pending.request {
            self.answerRequest(slot, request, body: pending.body.bytes, pending.responseContext)
        } else {
            self.endPost(slot, exchange, pending.body.bytes)
        }
    }

    @inline(__always)
    private func isClient(_ slot: Int) -> Bool { self.connections[slot]!.listenerRole == .clients }

    private mutating func httpRequest(_ slot: Int, _ span: RawSpan) -> HTTPRequest {
        HTTPRequest(
            method: self.head.method, path: String(span, self.head.path),
            query: self.head.query.map { String(span, $0) },
            host: self.head.authority.map { String(span, $0) },
            origin: self.head.fields.text("origin", in: span),
            authorization: self.head.fields.text("authorization", in: span),
            contentType: self.head.fields.text("content-type", in: span),
            ifNoneMatch: self.head.fields.joined("if-none-match", in: span),
            peer: self.connections[slot]!.peer,
            credentials: self.isClient(slot) ? self.credentials : .none,
            allowsAnonymous: self.shared.settings.allowsAnonymous,
            isLoopback: self.shared.settings.isLoopback,
            linkBase: self.isClient(slot) ? self.linkBase(slot, span) : "",
            jsonDepth: self.live.limits.jsonDepth)
    }

    private mutating func answerRequest(
        _ slot: Int, _ request: HTTPRequest, body: [UInt8], _ responseContext: HTTPResponseContext
    ) {
        var responseContext = responseContext
        // A drain may have begun while the body was received.
        if self.isDraining { responseContext.keepsAlive = false }
        do throws(HTTPError) {
            // Requests for unknown paths are limited too. Health probes are not, because load
            // balancers repeat them.
            if case .http(let exchange) = self.connections[slot]!.phase,
                exchange.requestInfo != nil, !PublicEndpoints.isProbe(request.path)
            {
                try self.checkRate(exchange)
            }
            let handler = self.handler(of: slot)
            if let response = try handler.asyncResponse(for: request, body: body) {
                return try self.beginAsyncResponse(response, slot, responseContext)
            }
            self.respond(slot, try handler.answer(request, body: body), responseContext)
        } catch {
            self.refuse(slot, error, responseContext)
        }
    }

    private func handler(of slot: Int) -> any RequestHandler {
        self.isClient(slot) ? self.shared.clientHandler : self.shared.adminHandler
    }

    /// The information about the request that is being answered on this connection.
    private func requestInfo(_ slot: Int) -> HTTPExchange.RequestInfo? {
        guard case .http(let exchange) = self.connections[slot]!.phase else { return nil }
        return exchange.requestInfo
    }

    /// The CORS fields of a response that is not sent with `respond`.
    func crossOriginFields(_ slot: Int) -> [HTTPField] {
        self.requestInfo(slot)?.crossOrigin.fields ?? []
    }

    mutating func respond(
        _ slot: Int, _ response: HTTPResponse, _ responseContext: HTTPResponseContext
    ) {
        self.frameBuffer.removeAll()
        self.frameBuffer.append(
            httpResponse: response.status, responseContext, contentType: response.contentType,
            fields: response.fields + self.crossOriginFields(slot), body: response.body)
        self.sendResponse(slot, responseContext)
    }

    mutating func refuse(_ slot: Int, _ error: HTTPError, _ responseContext: HTTPResponseContext) {
        if let info = self.requestInfo(slot),
            let response = self.handler(of: slot).errorResponse(error, path: info.path)
        {
            return self.respond(slot, response, responseContext)
        }
        let fields = error.fields + self.crossOriginFields(slot)
        self.frameBuffer.removeAll()
        self.frameBuffer.append(
            httpError: HTTPError(error.status, error.message, fields: fields), responseContext)
        self.sendResponse(slot, responseContext)
    }

    private mutating func sendResponse(_ slot: Int, _ responseContext: HTTPResponseContext) {
        let frame = SharedFrame(self.frameBuffer.bytes)
        // Small responses are written together. A large one may exceed the limit of pending bytes.
        if frame.count < Self.pacedResponseBytes {
            self.send(slot, frame)
        } else {
            self.sendPaced(slot, frame)
        }
        if responseContext.keepsAlive {
            self.setDeadline(slot, after: self.live.limits.idle)
        } else {
            self.beginClose(slot, .lingerWhenSent)
        }
    }
}

extension String {
    /// Decodes a range of bytes as UTF-8, with replacement of invalid bytes.
    init(_ bytes: RawSpan, _ range: Range<Int>) {
        self = bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
