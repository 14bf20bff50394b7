internal import Bytes
public import ChatModel
public import DialectKit
public import EventLoop
public import HTTPWire
internal import Identity
internal import JSON

/// A complete HTTP request, as a `RequestHandler` gets it.
public struct HTTPRequest: Sendable {
    public let method: HTTPMethod
    /// Still percent-encoded.
    public let path: String
    public let query: String?
    /// The host that the client requested, with or without a port. On the client
    /// listener, a trusted proxy may report it.
    public let host: String?
    public let origin: String?
    public let authorization: String?
    public let contentType: String?
    public let ifNoneMatch: String?
    public let acceptEncoding: String?
    /// The statement of a browser on the page that caused the request (Fetch Metadata):
    /// `same-origin`, `same-site`, `cross-site`, or `none` for the user's own doing.
    public let fetchSite: String?
    /// `navigate` if the browser shows the response as a page.
    public let fetchMode: String?
    public let peer: SocketAddress
    /// The client's address, as trusted proxies report it; otherwise that of the peer.
    public let clientAddress: SocketAddress
    /// The client's credentials; none on the admin listener.
    public let credentials: Credentials
    public let allowsAnonymous: Bool
    /// Whether only this machine reaches the client listener.
    public let isLoopback: Bool
    /// The base of links, such as `https://chat.example`, without a trailing slash. Empty on the
    /// admin listener.
    public let linkBase: String
    public let limits: Limits

    public init(
        method: HTTPMethod, path: String, query: String? = nil, host: String? = nil,
        origin: String? = nil, authorization: String? = nil,
        contentType: String? = nil, ifNoneMatch: String? = nil,
        acceptEncoding: String? = nil, fetchSite: String? = nil, fetchMode: String? = nil,
        peer: SocketAddress, clientAddress: SocketAddress? = nil,
        credentials: Credentials = .none,
        allowsAnonymous: Bool = false, isLoopback: Bool = false, linkBase: String = "",
        limits: Limits = Limits()
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.host = host
        self.origin = origin
        self.authorization = authorization
        self.contentType = contentType
        self.ifNoneMatch = ifNoneMatch
        self.acceptEncoding = acceptEncoding
        self.fetchSite = fetchSite
        self.fetchMode = fetchMode
        self.peer = peer
        self.clientAddress = clientAddress ?? peer
        self.credentials = credentials
        self.allowsAnonymous = allowsAnonymous
        self.isLoopback = isLoopback
        self.linkBase = linkBase
        self.limits = limits
    }
}

extension HTTPRequest {
    /// The user or the address to whose limits the request counts.
    public var limitKey: LimitKey {
        LimitKey(self.credentials, from: self.clientAddress.ip)
    }
}

extension LimitKey {
    /// The user or the address to whose limits a request with these credentials counts.
    init(_ credentials: Credentials, from address: IPAddress) {
        guard case .bearer(let identity) = credentials else {
            self = .init(nil, tenant: "", from: address)
            return
        }
        self.init(UserID(of: identity), tenant: identity.tenant, from: address)
    }
}

/// The response of a `RequestHandler`.
public struct HTTPResponse: Sendable {
    public var status: HTTPStatus
    public var contentType: StaticString
    public var fields: [HTTPField]
    public var body: [UInt8]

    public init(
        _ status: HTTPStatus = .ok, contentType: StaticString = "application/json",
        fields: [HTTPField] = [], body: [UInt8]
    ) {
        self.status = status
        self.contentType = contentType
        self.fields = fields
        self.body = body
    }
}

extension HTTPResponse {
    /// The shape of every error under `/api/`: `{"success":false,"error":"…"}`.
    ///
    /// - Parameter outcome: for a failed send, whether the message may have been stored.
    public init(apiError error: HTTPError, outcome: SendOutcome? = nil) {
        var text = ByteBuffer()
        text.append(#"{"success":false,"error":"#)
        text.append(jsonString: error.message)
        if let outcome { text.append(outcome: outcome) }
        text.append("}")
        self.init(
            error.status, fields: error.fields + [HTTPField("Cache-Control", "no-store")],
            body: text.bytes)
    }
}

/// Computes a response outside the loop.
public typealias AsyncResponse = @Sendable () async throws(HTTPError) -> HTTPResponse

/// Answers the HTTP requests of one or more routes, on any loop.
public protocol RequestHandler: Sendable {
    /// Nil if `answer` has the response at once.
    func asyncResponse(for request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> AsyncResponse?
    func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse
    /// Checks what the head alone shows, before a client that sent `Expect: 100-continue` is asked
    /// for its body. `asyncResponse` and `answer` must check it again.
    func checkBeforeBody(_ request: HTTPRequest) throws(HTTPError)
}

extension RequestHandler {
    public func checkBeforeBody(_ request: HTTPRequest) throws(HTTPError) {}

    public func asyncResponse(for request: HTTPRequest, body: [UInt8]) throws(HTTPError)
        -> AsyncResponse?
    { nil }
}
