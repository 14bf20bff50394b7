import Bytes
import ChatCore
import Cluster
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import Identity
import Synchronization

/// Requests over HTTP/1.1: one after the other, until one of them makes the connection a WebSocket.
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
            // What cannot be read is not a HEAD either.
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
            // From the first byte of a later request on its head, too, must come in time; the first one's time runs already.
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
        // Behind a body that is not read nothing can be told apart from it.
        let ending = HTTPResponseContext(self.head, date: self.date, willClose: true)
        let answering = HTTPResponseContext(self.head, date: self.date, willClose: self.isDraining)
        exchange.requestInfo = self.makeRequestInfo(slot, span)
        if self.isClient(slot), let refusal = self.availabilityError(slot, span) {
            self.counters.refusedConnections += 1
            // Clients of Engine.IO know the errors of their own protocol.
            guard !self.isEngineRequest(span) else {
                return self.refuseEngineRequest(slot, .unavailable, ending, [])
            }
            self.refuse(slot, refusal, ending)
            return
        }
        if self.isClient(slot), self.isEngineRequest(span) {
            do throws(HTTPError) {
                try self.readEngineRequest(
                    slot, exchange, span,
                    request: UnsafeRawBufferPointer(rebasing: buffer[start...]), &offset,
                    end: buffer.count, answering
                )
            } catch {
                self.refuse(slot, error, ending)
            }
            return
        }
        if let crossOrigin = exchange.requestInfo?.crossOrigin,
            self.answerCrossOrigin(
                crossOrigin, slot, span, self.head.body == .bytes(0) ? answering : ending)
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
            self.refuse(slot, error, self.head.body == .bytes(0) ? answering : ending)
            return
        }
        let request = self.httpRequest(slot, span)
        do throws(HTTPError) {
            try self.beginBody(slot, exchange, request, answering)
        } catch {
            self.refuse(slot, error, ending)
        }
    }

    /// Why a client is sent elsewhere. Probes are always answered: a load balancer asks.
    private mutating func availabilityError(_ slot: Int, _ span: RawSpan) -> HTTPError? {
        let status = self.shared.health.status
        // Before this loop drains the node may have begun to hand over what it owns.
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

    /// While a poll waits its client has nothing to say; a little is kept, so that its going is noticed.
    private mutating func pauseIfUnreadIsLarge(_ slot: Int) {
        if self.connections[slot]!.unread.count > 16 << 10 { self.pauseReading(slot) }
    }

    /// The body of a POST of Engine.IO.
    mutating func beginPostBody(
        _ slot: Int, _ exchange: HTTPExchange, byteLimit: Int, _ answering: HTTPResponseContext
    ) throws(HTTPError) {
        let decoder = try HTTPBodyDecoder(self.head.body, byteLimit: byteLimit)
        guard !decoder.isComplete else { return self.endPost(slot, exchange, []) }
        if self.head.expectsContinue { self.sendContinue(slot) }
        exchange.incompleteRequest = HTTPExchange.IncompleteRequest(
            decoder: decoder, request: nil, responseContext: answering)
        self.setDeadline(slot, after: self.live.limits.body)
    }

    private mutating func sendContinue(_ slot: Int) {
        self.frameBuffer.removeAll()
        self.frameBuffer.appendHTTPContinue()
        self.send(slot, SharedFrame(self.frameBuffer.bytes))
    }

    /// Nil for what is a WebSocket's or nobody's: connecting costs nothing for it.
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

    /// The refusal of a request whose head cannot be read has the shape of its path, too.
    func setUnreadableRequestInfo(
        _ slot: Int, _ exchange: HTTPExchange, _ bytes: UnsafeRawBufferPointer
    ) {
        guard self.isClient(slot), PublicEndpoints.isAPI(unreadable: bytes) else { return }
        exchange.requestInfo = HTTPExchange.RequestInfo(
            path: "/api/",
            crossOrigin: CrossOrigin(nil, host: nil, isSecure: false, self.live.origins))
    }

    /// - Returns: whether it has been answered: a browser asked for a page, or the page may not ask. Probes are answered to anybody,
    ///   and a page from elsewhere is kept from it by its browser.
    private mutating func answerCrossOrigin(
        _ crossOrigin: CrossOrigin, _ slot: Int, _ span: RawSpan, _ answering: HTTPResponseContext
    ) -> Bool {
        let isPreflight =
            self.head.method == .options && self.head.field("origin", in: span) != nil
            && self.head.field("access-control-request-method", in: span) != nil
        guard crossOrigin.isAllowed || !isPreflight && PublicEndpoints.isProbe(self.head, in: span)
        else {
            self.counters.refusedConnections += 1
            self.refuse(slot, CrossOrigin.refusal, answering)
            return true
        }
        if isPreflight { self.respond(slot, CrossOrigin.preflight(self.live.origins), answering) }
        return isPreflight
    }

    private mutating func beginBody(
        _ slot: Int, _ exchange: HTTPExchange, _ request: HTTPRequest,
        _ answering: HTTPResponseContext
    ) throws(HTTPError) {
        let decoder = try HTTPBodyDecoder(self.head.body, byteLimit: self.live.limits.bodyBytes)
        if decoder.isComplete {
            self.answerRequest(slot, request, body: [], answering)
            return
        }
        if self.head.expectsContinue { self.sendContinue(slot) }
        exchange.incompleteRequest = HTTPExchange.IncompleteRequest(
            decoder: decoder, request: request, responseContext: answering)
        self.setDeadline(slot, after: self.live.limits.body)
    }

    private mutating func readBody(
        _ slot: Int, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) {
        guard var pending = exchange.incompleteRequest else { return }
        exchange.incompleteRequest = nil  // Else the body would be copied each time.
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
        _ slot: Int, _ request: HTTPRequest, body: [UInt8], _ answering: HTTPResponseContext
    ) {
        var answering = answering
        // The drain may have begun while the body came.
        if self.isDraining { answering.keepsAlive = false }
        do throws(HTTPError) {
            // Whoever asks for what there is not asks as often. A load balancer probes all the time.
            if case .http(let exchange) = self.connections[slot]!.phase,
                exchange.requestInfo != nil, !PublicEndpoints.isProbe(request.path)
            {
                try self.checkRate(exchange)
            }
            let site = self.handler(of: slot)
            if let work = try site.asyncResponse(for: request, body: body) {
                return try self.beginAsyncResponse(work, slot, answering)
            }
            self.respond(slot, try site.answer(request, body: body), answering)
        } catch {
            self.refuse(slot, error, answering)
        }
    }

    private func handler(of slot: Int) -> any RequestHandler {
        self.isClient(slot) ? self.shared.clientHandler : self.shared.adminHandler
    }

    /// What is known of the request that is answered on this connection.
    private func requestInfo(_ slot: Int) -> HTTPExchange.RequestInfo? {
        guard case .http(let exchange) = self.connections[slot]!.phase else { return nil }
        return exchange.requestInfo
    }

    /// What an answer has beside its own fields, for whoever writes one without `respond`.
    func crossOriginFields(_ slot: Int) -> [HTTPField] {
        self.requestInfo(slot)?.crossOrigin.fields ?? []
    }

    mutating func respond(_ slot: Int, _ response: HTTPResponse, _ answering: HTTPResponseContext) {
        self.frameBuffer.removeAll()
        self.frameBuffer.append(
            httpResponse: response.status, answering, contentType: response.contentType,
            fields: response.fields + self.crossOriginFields(slot), body: response.body)
        self.sendResponse(slot, answering)
    }

    mutating func refuse(_ slot: Int, _ error: HTTPError, _ answering: HTTPResponseContext) {
        if let asked = self.requestInfo(slot),
            let response = self.handler(of: slot).errorResponse(error, path: asked.path)
        {
            return self.respond(slot, response, answering)
        }
        let fields = error.fields + self.crossOriginFields(slot)
        self.frameBuffer.removeAll()
        self.frameBuffer.append(
            httpError: HTTPError(error.status, error.message, fields: fields), answering)
        self.sendResponse(slot, answering)
    }

    private mutating func sendResponse(_ slot: Int, _ answering: HTTPResponseContext) {
        let frame = SharedFrame(self.frameBuffer.bytes)
        // Small ones leave together; a large one may be more than a connection may have pending otherwise.
        if frame.count < Self.pacedResponseBytes {
            self.send(slot, frame)
        } else {
            self.sendPaced(slot, frame)
        }
        if answering.keepsAlive {
            self.setDeadline(slot, after: self.live.limits.idle)
        } else {
            self.beginClose(slot, .lingerWhenSent)
        }
    }
}

extension String {
    /// The text at a place of some bytes; what is no UTF-8 is replaced.
    init(_ bytes: RawSpan, _ place: Range<Int>) {
        self = bytes.extracting(place).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
