import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Cluster
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import Identity

/// Handles upgrades to WebSocket: credentials, origin and dialect.
extension LoopState {
    /// Reads the credentials of the request, and opens a WebSocket if the route is for one.
    ///
    /// - Returns: whether the request was answered.
    mutating func openWebSocket(
        _ connection: Connection, _ route: Route, _ span: RawSpan, unread: UnsafeRawBufferPointer,
        _ offset: inout Int
    ) throws(HTTPError) -> Bool {
        self.credentials = .none  // The previous request may be another user's.
        var dialect = -1
        var request: DialectRequest?
        switch route.target {
        case .echo: break
        case .upgrade(let index):
            request = try self.dialectRequest(connection, span)
            guard request != nil else { return false }
            dialect = index
        case .handler, .notFound:
            _ = try self.dialectRequest(connection, span)
            return false
        case .engine:
            _ = try self.dialectRequest(connection, span)
            throw .methodNotAllowed("GET")  // OPTIONS, but no preflight.
        }
        let upgrade = try WebSocketUpgrade(self.head, in: span)
        guard self.mayConnect() else {
            self.counters.refusedConnections += 1
            throw HTTPError(
                .serviceUnavailable, "Too many clients connect at once; come again.",
                fields: [HTTPField("Retry-After", "1")])
        }
        guard self.isAllowedOrigin(connection, span) else {
            self.counters.refusedConnections += 1
            throw HTTPError(.forbidden, "Pages of this origin may not connect; see --origins.")
        }
        var openResult: OpenResult?
        if let request {
            openResult = self.shared.settings.dialects[dialect].open(request)
            guard openResult != nil else { return false }
        }
        var session: (any DialectSession)?
        switch openResult {
        case .refused(let status, let sentence):
            throw HTTPError(HTTPStatus(rawValue: status), sentence)
        case .session(let opened): session = opened
        case .awaitingAnswer(let command, let key, let then):
            let pending = PendingUpgrade(
                upgrade: upgrade, dialect: dialect, expiry: self.tokenExpiry,
                peer: self.clientAddress(connection, span),
                responseContext: HTTPResponseContext(
                    self.head, date: self.date,
                    willClose: self.isDraining || self.head.body != .bytes(0)),
                then: then)
            self.pauseReading(connection)
            self.setDeadline(connection, after: self.live.limits.header)
            let context = self.requestContexts.add(
                RequestContext(token: connection.token, kind: .upgrade(pending)))
            self.chat.submit(command, in: key, context: context, at: self.now)
            return true
        case nil: break
        }
        let expiry = self.tokenExpiry
        let peer = self.clientAddress(connection, span)
        if self.upgrade(
            connection, upgrade, session, dialect, expiry: expiry, peer: peer, unread: unread)
        {
            offset += unread.count
        }
        return true
    }

    /// When the token of the present request expires, in monotonic milliseconds; 0 for never.
    var tokenExpiry: Int64 {
        guard case .bearer(let identity) = self.credentials, let expiry = identity.expiry else {
            return 0
        }
        return self.now.monotonic + max(1, expiry.milliseconds - self.now.wall.milliseconds)
    }

    /// Turns the connection into a WebSocket.
    ///
    /// - Returns: whether it moved to another loop, together with its unread input.
    private mutating func upgrade(
        _ connection: Connection, _ upgrade: WebSocketUpgrade, _ session: (any DialectSession)?,
        _ dialect: Int,
        expiry: Int64, peer: SocketAddress,
        unread: UnsafeRawBufferPointer
    ) -> Bool {
        self.frameBuffer.removeAll()
        upgrade.appendResponse(to: &self.frameBuffer)
        let response = SharedFrame(self.frameBuffer.bytes)
        let webSocket = self.makeWebSocketState(
            session, dialect: dialect, acceptsCompression: upgrade.clientMayCompress,
            isCompressed: upgrade.serverMayCompress)
        webSocket.expiresAt = expiry
        connection.phase = .webSocket(webSocket)
        connection.peer = peer
        if let conversation = session?.homeConversation {
            let loop = View.preferredLoop(of: conversation, loops: self.shared.settings.loopCount)
            // Responses to earlier requests must have been sent.
            if loop != self.index, self.table.hot[connection.slot].frameCount == 0,
                connection.backlog.isEmpty
            {
                self.moveWebSocket(
                    connection, to: loop, webSocket, response: response, unread: Array(unread))
                return true
            }
        }
        self.send(connection, response)
        self.beginSession(webSocket, connection)
        return false
    }

    /// An upgrade that waits for an answer of the chat core.
    struct PendingUpgrade {
        let upgrade: WebSocketUpgrade
        let dialect: Int
        let expiry: Int64
        let peer: SocketAddress
        let responseContext: HTTPResponseContext
        let then: @Sendable (ChatAnswer) -> OpenResult
    }

    mutating func upgrade(_ token: SocketToken, _ pending: PendingUpgrade, with answer: ChatAnswer)
    {
        guard let connection = self.connection(token), connection.closeState == .open else {
            return
        }
        switch pending.then(answer) {
        case .refused(let status, let sentence):
            self.refuse(
                connection, HTTPError(HTTPStatus(rawValue: status), sentence),
                pending.responseContext)
            guard connection.isConnected else { return }
            if connection.closeState != .open { connection.unread = [] }
            self.resumeReading(connection)
        case .session(let session):
            let unread = connection.unread
            let hasMoved = unread.withUnsafeBytes {
                self.upgrade(
                    connection, pending.upgrade, session, pending.dialect, expiry: pending.expiry,
                    peer: pending.peer, unread: $0)
            }
            guard !hasMoved, connection.isConnected,
                case .webSocket(let webSocket) = connection.phase
            else { return }
            self.resumeReadingIfUnblocked(connection, webSocket)
        case .awaitingAnswer:
            preconditionFailure("an answer to a question before the upgrade is no other question")
        }
    }

    /// Counts a new client against the rate of this second. Each loop has its share of the rate.
    mutating func mayConnect() -> Bool {
        let second = self.now.monotonic / 1000
        if self.connects.second != second { self.connects = (second, 0) }
        self.connects.count += 1
        return self.connects.count
            <= max(1, self.live.limits.connectsPerSecond / self.shared.settings.loopCount)
    }

    /// Whether pages of the request's origin may connect.
    mutating func isAllowedOrigin(_ connection: Connection, _ span: RawSpan) -> Bool {
        self.live.origins.allows(
            self.head.fields.text("origin", in: span), host: self.requestedHost(connection, span),
            isSecure: self.isSecure(connection, span))
    }

    /// Whether the client used TLS. A trusted proxy reports that; of several proxies the first one
    /// counts.
    mutating func isSecure(_ connection: Connection, _ span: RawSpan) -> Bool {
        let isTLS = connection.tls != nil
        guard self.isTrusted(connection.peer.ip),
            let scheme = self.firstForwarded("x-forwarded-proto", span)
        else {
            return isTLS
        }
        switch scheme.lowercased() {
        case "https", "wss": return true
        case "http", "ws": return false
        default: return isTLS
        }
    }

    /// The host that the client requested. A trusted proxy reports it, because it may use another
    /// name for the node.
    mutating func requestedHost(_ connection: Connection, _ span: RawSpan) -> String? {
        if self.isTrusted(connection.peer.ip),
            let host = self.firstForwarded("x-forwarded-host", span),
            host.utf8.allSatisfy({ $0.isHostLetter })
        {
            return host
        }
        return self.head.authority.map { String(span, $0) }
    }

    /// The base of links in the response.
    mutating func linkBase(_ connection: Connection, _ span: RawSpan) -> String {
        let fields = self.head.fields
        let isForwarded =
            self.isTrusted(connection.peer.ip)
            && (fields.first("x-forwarded-for", in: span) != nil
                || fields.first("x-forwarded-proto", in: span) != nil
                || fields.first("x-forwarded-host", in: span) != nil
                || fields.first("forwarded", in: span) != nil)
        return self.shared.linkBase.url(
            host: self.requestedHost(connection, span), isForwarded: isForwarded,
            isSecure: self.isSecure(connection, span),
            isTLS: connection.tls != nil,
            local: Socket(descriptor: self.table.hot[connection.slot].descriptor).localAddress)
    }

    /// The first value of a field that proxies append to; nil if there is none.
    private func firstForwarded(_ name: StaticString, _ span: RawSpan) -> String? {
        guard let list = self.head.fields.joined(name, in: span) else { return nil }
        let first = list.prefix { $0 != "," }.drop { $0 == " " || $0 == "\t" }
        guard let last = first.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return nil }
        return String(first[...last])
    }

    private mutating func isTrusted(_ address: IPAddress) -> Bool {
        self.shared.settings.trustedProxies.contains { $0.contains(address) }
    }

    /// The client's address. Each trusted proxy, from the last one on, reports the address that
    /// connected to it.
    mutating func clientAddress(_ connection: Connection, _ span: RawSpan) -> SocketAddress {
        var address = connection.peer
        guard self.isTrusted(address.ip),
            let list = self.head.fields.joined("x-forwarded-for", in: span)
        else { return address }
        for item in list.split(separator: ",", omittingEmptySubsequences: false).reversed() {
            guard self.isTrusted(address.ip), let next = SocketAddress(forwarded: item) else {
                return address
            }
            address = next
        }
        return address
    }

    /// Reads the credentials of the request, which handlers need too.
    ///
    /// - Returns: the request for the dialects; nil if its path cannot belong to a dialect.
    mutating func dialectRequest(_ connection: Connection, _ span: RawSpan) throws(HTTPError)
        -> DialectRequest?
    {
        let path = span.extracting(self.head.path).withUnsafeBytes { Self.pathSegments($0) }
        guard let path, !path.isEmpty else { return nil }
        var query: [(name: String, value: String)] = []
        if let range = self.head.query {
            guard let parsed = Self.queryPairs(span.extracting(range)) else {
                throw .badRequest("The query is not percent-encoded UTF-8.")
            }
            query = parsed
        }
        self.credentials = self.readCredentials(query, span)
        return DialectRequest(
            path: path, query: query, credentials: self.credentials,
            allowsAnonymous: self.shared.settings.allowsAnonymous,
            isLoopback: self.shared.settings.isLoopback,
            now: self.now.wall)
    }

    private static func pathSegments(_ path: UnsafeRawBufferPointer) -> [String]? {
        var segments: [String] = []
        segments.reserveCapacity(4)
        var start = 1
        while start <= path.count {
            let end = path[start...].firstIndex(of: UInt8(ascii: "/")) ?? path.count
            guard
                let text = PercentEncoding.decode(
                    UnsafeRawBufferPointer(rebasing: path[start..<end]))
            else { return nil }
            segments.append(text)
            start = end + 1
        }
        if segments.last == "" { segments.removeLast() }
        return segments
    }

    private static func queryPairs(_ query: RawSpan) -> [(name: String, value: String)]? {
        var pairs: [(name: String, value: String)] = []
        var parts = HTTPQueryParts(0..<query.byteCount)
        while let part = parts.next(in: query) {
            guard let name = query.queryText(at: part.name),
                let value = query.queryText(at: part.value)
            else { return nil }
            pairs.append((name, value))
        }
        return pairs
    }

    /// The token after `Bearer`, which may be empty; nil for another scheme.
    private static func bearerToken(_ field: String) -> String? {
        let scheme = field.prefix { $0 != " " && $0 != "\t" }
        guard scheme.lowercased() == "bearer" else { return nil }
        return String(field.dropFirst(scheme.count).drop { $0 == " " || $0 == "\t" })
    }

    private mutating func readCredentials(_ query: [(name: String, value: String)], _ span: RawSpan)
        -> Credentials
    {
        let (verifier, now) = (self.live.verifier, self.now.wall)
        return self.readCredentials(query, span) { token throws(TokenError) in
            try verifier.verify(token, at: now)
        }
    }

    /// The identity in a request of an existing Engine.IO session.
    mutating func requestIdentity(_ span: RawSpan) throws(EngineRefusal) -> RequestIdentity {
        var query: [(name: String, value: String)] = []
        if let range = self.head.query {
            guard let parsed = Self.queryPairs(span.extracting(range)) else { throw .badRequest }
            query = parsed
        }
        let (verifier, now) = (self.live.verifier, self.now.wall)
        let credentials = self.readCredentials(query, span) { token throws(TokenError) in
            try verifier.identityIgnoringExpiry(of: token, at: now)
        }
        switch credentials {
        case .none: return .noToken
        case .invalid: return .invalidToken
        case .bearer(let identity):
            return .bearer(tenant: identity.tenant, user: UserID(of: identity))
        }
    }

    /// Reads the credentials. Any invalid token causes a refusal, and several valid ones must be of
    /// the same user.
    private mutating func readCredentials(
        _ query: [(name: String, value: String)], _ span: RawSpan,
        verify: (String) throws(TokenError) -> Identity
    ) -> Credentials {
        var tokens = query.filter { $0.name == "token" }.map(\.value)
        // Other schemes are not for this node, for example a password that a proxy requires.
        let bearers = self.head.fields.texts("authorization", in: span).compactMap(Self.bearerToken)
        guard bearers.count <= 1 else {
            return .invalid("there are several Authorization fields with a bearer token")
        }
        tokens += bearers
        guard !tokens.isEmpty else { return .none }
        var first: Identity?
        for token in tokens {
            do throws(TokenError) {
                let identity = try verify(token)
                if let first,
                    UserID(of: first) != UserID(of: identity) || first.tenant != identity.tenant
                {
                    return .invalid("the tokens are of two users")
                }
                first = first ?? identity
            } catch {
                return .invalid(error.description)
            }
        }
        guard let first else { return .none }
        return .bearer(first)
    }
}

extension SocketAddress {
    /// Parses an address from a proxy, with or without a port, and discards the port. Nil for a
    /// name such as `unknown`.
    init?(forwarded text: Substring) {
        var host = text.drop { $0 == " " || $0 == "\t" }
        while let last = host.last, last == " " || last == "\t" { host.removeLast() }
        guard let parts = HostPort(host) else { return nil }
        // An IPv6 address without brackets has no port.
        self.init(literal: String(parts.isAmbiguous ? host : parts.host), port: 0)
    }
}

extension UInt8 {
    /// Whether browsers write this byte in a host with a port: names, IPv4, and IPv6 in brackets.
    fileprivate var isHostLetter: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"),
            UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: false
        }
    }
}
