import Bytes
import ChatCore
import ChatModel
import DialectKit
import EngineIO
import EngineTransport
import EventLoop
import HTTPWire
import Identity

/// Reads the credentials of requests.
extension HTTPServer {
    /// The request with its credentials, as dialects need it; nil if its path cannot belong to a
    /// dialect.
    func dialectRequest(
        _ connection: Connection, _ span: RawSpan
    ) throws(HTTPError) -> DialectRequest? {
        let path = span.extracting(self.head.path).withUnsafeBytes { Self.pathSegments($0) }
        guard let path, !path.isEmpty else { return nil }
        var query: [(name: String, value: String)] = []
        if let range = self.head.query {
            guard let parsed = Self.queryPairs(span.extracting(range)) else {
                throw .badRequest("The query is not percent-encoded UTF-8.")
            }
            query = parsed
        }
        return DialectRequest(
            path: path, query: query, credentials: self.readCredentials(query, span),
            allowsAnonymous: self.context.settings.allowsAnonymous,
            isLoopback: self.isFromThisMachine(connection),
            now: self.context.now.wall)
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

    private func readCredentials(_ query: [(name: String, value: String)], _ span: RawSpan)
        -> Credentials
    {
        let (verifier, now) = (self.context.live.verifier, self.context.now.wall)
        return self.readCredentials(query, span) { token throws(TokenError) in
            try verifier.verify(token, at: now)
        }
    }

    /// Whether the request that is being read has a token of the operator's own issuers. Everybody
    /// gets a guest's token.
    var hasToken: Bool {
        if case .bearer(let identity) = self.credentials { identity.guest == nil } else { false }
    }

    /// The connection belongs to the user of the request, as far as one is known.
    func recordToken(_ connection: Connection) {
        guard self.hasToken else { return }
        connection.addressShare?.showToken()
        self.pool.identified(connection)
    }

    /// The client's address has all the connections that it may have without a token. If this
    /// request has one, the connection gets a place nevertheless.
    func admitToken(_ connection: Connection, _ span: RawSpan) {
        guard connection.exceededLimit == .address,
            let request = (try? self.dialectRequest(connection, span)) ?? nil,
            case .bearer(let identity) = request.credentials, identity.guest == nil,
            let share = self.pool.admit(
                connection.peer.ip, hasToken: true, for: connection.token)
        else { return }
        connection.admit(share)
    }

    /// Counts the WebSocket that a request opens.
    ///
    /// - Parameter connection: the connection of the request.
    /// - Returns: the place of the connection itself if no proxy reports the client.
    func admitAddress(_ connection: Connection) throws(HTTPError) -> AddressShare {
        if let share = connection.addressShare { return share }
        let address = self.clientAddress(connection).ip
        guard
            let share = self.pool.admit(
                address, hasToken: self.hasToken, for: connection.token)
        else { throw .addressFull }
        return share
    }

    /// Whether the request that is being read has an invalid token.
    var hasInvalidToken: Bool {
        if case .invalid = self.credentials { true } else { false }
    }

    /// The identity in a request of an existing Engine.IO session.
    func requestIdentity(_ span: RawSpan) throws(EngineRefusal) -> EngineRequestIdentity {
        var query: [(name: String, value: String)] = []
        if let range = self.head.query {
            guard let parsed = Self.queryPairs(span.extracting(range)) else { throw .badRequest }
            query = parsed
        }
        let (verifier, now) = (self.context.live.verifier, self.context.now.wall)
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
    private func readCredentials(
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
