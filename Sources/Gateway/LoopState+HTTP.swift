import Bytes
import ChatCore
import ChatModel
import Cluster
import Configuration
import DialectKit
import EventLoop
import HTTPWire
import Identity
import JSON
import Synchronization
import TLS
import Telemetry

/// Requests over HTTP/1.1: one after the other, until one of them makes the connection a WebSocket.
extension LoopState {
    mutating func readRequests(_ slot: Int, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int) {
        do throws(HTTPError) {
            if exchange.pending != nil {
                try self.readBody(slot, exchange, buffer, &offset)
            } else {
                try self.readHead(slot, exchange, buffer, &offset)
            }
        } catch {
            self.refuse(slot, error, HTTPAnswering(isHead: false, keepsAlive: false, date: self.date))
        }
    }

    private mutating func readHead(
        _ slot: Int, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) throws(HTTPError) {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset...])
        let span = bytes.bytes
        let limits = HTTPLimits(headBytes: self.live.limits.headerBytes, requestLineBytes: min(8192, self.live.limits.headerBytes))
        guard try exchange.parser.parse(span, into: &self.head, limits: limits) else {
            // From the first byte of a later request on its head, too, must come in time.
            if exchange.requestCount > 0, self.connections[slot]!.unread.isEmpty { self.setDeadline(slot, after: self.live.limits.header) }
            return
        }
        offset += self.head.byteCount
        exchange.requestCount += 1
        self.counters.httpRequests += 1
        let answering = HTTPAnswering(self.head, date: self.date, willClose: self.isDraining)
        if self.isDraining || self.shared.connectionCount.load(ordering: .relaxed) > self.live.limits.connections, self.isClient(slot) {
            // Health tells a load balancer why; everybody else is sent elsewhere.
            guard self.isDraining, self.head.pathEquals("/api/health", in: span) else {
                let busy = HTTPError(
                    .serviceUnavailable, self.isDraining ? "The node is draining; connect again." : "The node has all the connections it may have.",
                    fields: [HTTPField("Retry-After", "1")])
                self.counters.refusedConnections += 1
                self.refuse(slot, busy, HTTPAnswering(isHead: false, keepsAlive: false, date: self.date))
                return
            }
        }
        if self.isClient(slot), try self.openWebSocket(slot, span, unread: UnsafeRawBufferPointer(rebasing: buffer[offset...]), &offset) { return }
        let request = self.siteRequest(slot, span)
        let decoder = try HTTPBodyDecoder(self.head.body, byteLimit: self.live.limits.bodyBytes)
        if decoder.isComplete {
            self.answer(slot, request, body: [], answering)
            return
        }
        if self.head.expectsContinue {
            self.framing.removeAll()
            self.framing.appendHTTPContinue()
            self.send(slot, SharedFrame(self.framing.bytes))
        }
        exchange.pending = HTTPExchange.PendingRequest(decoder: decoder, request: request, answering: answering)
        self.setDeadline(slot, after: self.live.limits.body)
    }

    private mutating func readBody(
        _ slot: Int, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) throws(HTTPError) {
        guard var pending = exchange.pending else { return }
        exchange.pending = nil  // Else the body would be copied each time.
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset...])
        offset += try pending.decoder.decode(bytes.bytes, into: &pending.body)
        guard pending.decoder.isComplete else {
            exchange.pending = pending
            return
        }
        self.answer(slot, pending.request, body: pending.body.bytes, pending.answering)
    }

    private func isClient(_ slot: Int) -> Bool { self.connections[slot]!.site == .clients }

    private func siteRequest(_ slot: Int, _ span: RawSpan) -> SiteRequest {
        SiteRequest(
            method: self.head.method, path: String(span, self.head.path), query: self.head.query.map { String(span, $0) },
            host: self.head.authority.map { String(span, $0) },
            origin: self.head.fields.text("origin", in: span), authorization: self.head.fields.text("authorization", in: span),
            contentType: self.head.fields.text("content-type", in: span), peer: self.connections[slot]!.peer)
    }

    private mutating func answer(_ slot: Int, _ request: SiteRequest, body: [UInt8], _ answering: HTTPAnswering) {
        do throws(HTTPError) {
            let site = self.isClient(slot) ? self.shared.clients : self.shared.admin
            let response = try site.answer(request, body: body)
            self.framing.removeAll()
            self.framing.append(
                httpResponse: response.status, answering, contentType: response.contentType, fields: response.fields, body: response.body)
            self.respond(slot, answering)
        } catch {
            self.refuse(slot, error, answering)
        }
    }

    mutating func refuse(_ slot: Int, _ error: HTTPError, _ answering: HTTPAnswering) {
        self.framing.removeAll()
        self.framing.append(httpError: error, answering)
        self.respond(slot, answering)
    }

    private mutating func respond(_ slot: Int, _ answering: HTTPAnswering) {
        self.send(slot, SharedFrame(self.framing.bytes))
        if answering.keepsAlive {
            self.setDeadline(slot, after: self.live.limits.idle)
        } else {
            self.finish(slot, .lingerWhenSent)
        }
    }

    // MARK: Upgrade

    /// - Returns: whether the request was for a WebSocket, and has been answered.
    private mutating func openWebSocket(
        _ slot: Int, _ span: RawSpan, unread: UnsafeRawBufferPointer, _ offset: inout Int
    ) throws(HTTPError) -> Bool {
        let isEcho = self.isEchoPath(span)
        var opening: DialectOpening?
        var dialect = -1
        if !isEcho {
            guard let request = try self.dialectRequest(slot, span) else { return false }
            for (place, candidate) in self.shared.settings.dialects.enumerated() {
                opening = candidate.open(request)
                if opening != nil {
                    dialect = place
                    break
                }
            }
            guard opening != nil else { return false }
        }
        let upgrade = try WebSocketUpgrade(self.head, in: span)
        guard self.mayConnect() else {
            self.counters.refusedConnections += 1
            throw HTTPError(.serviceUnavailable, "Too many clients connect at once; come again.", fields: [HTTPField("Retry-After", "1")])
        }
        guard self.live.origins.allows(
            self.head.fields.text("origin", in: span), host: self.head.authority.map { String(span, $0) }, isSecure: self.isSecure(slot, span))
        else {
            self.counters.refusedConnections += 1
            throw HTTPError(.forbidden, "Pages of this origin may not connect; see --origins.")
        }
        if case .refused(let status, let sentence) = opening { throw HTTPError(HTTPStatus(rawValue: status), sentence) }
        self.framing.removeAll()
        upgrade.appendResponse(to: &self.framing)
        let response = SharedFrame(self.framing.bytes)
        var session: (any DialectSession)?
        if case .session(let opened) = opening { session = opened }
        let talk = self.talk(session, dialect: dialect, takesCompression: upgrade.canCompress, isCompressed: upgrade.takesDeflated)
        if case .bearer(let identity) = self.credentials, let expiry = identity.expiry {
            talk.expiresAt = self.now.monotonic + max(1, expiry.milliseconds - self.now.wall.milliseconds)
        }
        self.connections[slot]!.stage = .webSocket(talk)
        if let home = session?.home {
            let loop = View.home(of: home, loops: self.shared.settings.loopCount)
            // Answers to earlier requests must have left.
            if loop != self.index, self.table.hot[slot].frameCount == 0, self.connections[slot]!.backlog.isEmpty {
                offset += unread.count
                self.move(slot, to: loop, talk, response: response, unread: Array(unread))
                return true
            }
        }
        self.send(slot, response)
        self.begin(talk, slot)
        return true
    }

    /// Whether another client may come in this second; each loop has its share.
    private mutating func mayConnect() -> Bool {
        let second = self.now.monotonic / 1000
        if self.connects.second != second { self.connects = (second, 0) }
        self.connects.count += 1
        return self.connects.count <= max(1, self.live.limits.connectsPerSecond / self.shared.settings.loopCount)
    }

    private func isEchoPath(_ span: RawSpan) -> Bool {
        guard let echo = self.shared.settings.echoPath else { return false }
        return self.head.pathText(in: span) == echo
    }

    private func isSecure(_ slot: Int, _ span: RawSpan) -> Bool {
        let connection = self.connections[slot]!
        if connection.tls != nil { return true }
        guard self.shared.settings.trustedProxies.includes(connection.peer) else { return false }
        return self.head.fields.text("x-forwarded-proto", in: span)?.lowercased() == "https"
    }

    /// The request as dialects see it; nil when the path cannot be any dialect's.
    private mutating func dialectRequest(_ slot: Int, _ span: RawSpan) throws(HTTPError) -> DialectRequest? {
        let path = span.extracting(self.head.path).withUnsafeBytes { Self.segments($0) }
        guard let path, !path.isEmpty else { return nil }
        var query: [(name: String, value: String)] = []
        if let place = self.head.query {
            let parsed = span.extracting(place).withUnsafeBytes { Self.pairs($0) }
            guard let parsed else { throw .badRequest("The query is not percent-encoded UTF-8.") }
            query = parsed
        }
        self.credentials = self.readCredentials(query, span)
        return DialectRequest(path: path, query: query, credentials: self.credentials, now: self.now.wall)
    }

    private static func segments(_ path: UnsafeRawBufferPointer) -> [String]? {
        var segments: [String] = []
        for part in path.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard let text = PercentEncoding.decode(part) else { return nil }
            segments.append(text)
        }
        if segments.last == "" { segments.removeLast() }
        return segments
    }

    private static func pairs(_ query: UnsafeRawBufferPointer) -> [(name: String, value: String)]? {
        var pairs: [(name: String, value: String)] = []
        for part in query.split(separator: UInt8(ascii: "&")) {
            let halves = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(halves[0], plusIsSpace: true),
                let value = halves.count > 1 ? PercentEncoding.decode(halves[1], plusIsSpace: true) : ""
            else { return nil }
            pairs.append((name, value))
        }
        return pairs
    }

    /// A token that is bad is refused, also beside a good one; two good ones must be of the same user.
    private func readCredentials(_ query: [(name: String, value: String)], _ span: RawSpan) -> Credentials {
        var tokens = query.filter { $0.name == "token" }.map(\.value)
        if let field = self.head.fields.text("authorization", in: span) {
            let scheme = "bearer "
            guard field.count > scheme.count, field.prefix(scheme.count).lowercased() == scheme else {
                return .refused("the Authorization field is no bearer token")
            }
            tokens.append(String(field.dropFirst(scheme.count)))
        }
        guard !tokens.isEmpty else { return .none }
        var first: Identity?
        for token in tokens {
            do throws(TokenError) {
                let identity = try self.live.verifier.verify(token, at: self.now.wall)
                if let first, first.user != identity.user || first.tenant != identity.tenant { return .refused("the tokens are of two users") }
                first = first ?? identity
            } catch {
                return .refused(error.description)
            }
        }
        guard let first else { return .none }
        return .bearer(first)
    }
}

extension String {
    /// The text at a place of some bytes; what is no UTF-8 is replaced.
    init(_ bytes: RawSpan, _ place: Range<Int>) {
        self = bytes.extracting(place).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
