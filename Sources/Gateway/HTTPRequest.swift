internal import Bytes
public import DialectKit
public import EventLoop
public import HTTPWire
internal import JSON

/// A plain HTTP request, whole, as a site's handler gets it.
public struct HTTPRequest: Sendable {
    public let method: HTTPMethod
    /// Still percent-encoded.
    public let path: String
    public let query: String?
    public let host: String?
    public let origin: String?
    public let authorization: String?
    public let contentType: String?
    public let ifNoneMatch: String?
    public let peer: SocketAddress
    /// Of a client: who asks, and whether somebody without a token may.
    public let credentials: Credentials
    public let allowsAnonymous: Bool
    /// Whether only this machine reaches the client listener.
    public let isLoopback: Bool
    /// Of a client: where it reaches the service, for links: `https://chat.example`, without a slash at the end.
    public let linkBase: String
    /// How deep JSON in the body may be nested.
    public let jsonDepth: Int

    public init(
        method: HTTPMethod, path: String, query: String? = nil, host: String? = nil,
        origin: String? = nil, authorization: String? = nil,
        contentType: String? = nil, ifNoneMatch: String? = nil, peer: SocketAddress,
        credentials: Credentials = .none,
        allowsAnonymous: Bool = false, isLoopback: Bool = false, linkBase base: String = "",
        jsonDepth: Int = 32
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.host = host
        self.origin = origin
        self.authorization = authorization
        self.contentType = contentType
        self.ifNoneMatch = ifNoneMatch
        self.peer = peer
        self.credentials = credentials
        self.allowsAnonymous = allowsAnonymous
        self.isLoopback = isLoopback
        self.linkBase = base
        self.jsonDepth = jsonDepth
    }
}

/// What a site answers.
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
    /// A refusal as every path under `/api/` has it: `{"success":false,"error":"…"}`.
    public init(apiError error: HTTPError) {
        var text = ByteBuffer()
        text.append(#"{"success":false,"error":"#)
        text.append(jsonString: error.message)
        text.append("}")
        self.init(
            error.status, fields: error.fields + [HTTPField("Cache-Control", "no-store")],
            body: text.bytes)
    }
}

/// Finds an answer that takes its time: it is others' to give.
public typealias AsyncResponse = @Sendable () async throws(HTTPError) -> HTTPResponse

/// Answers the plain HTTP requests of a listener, on any loop.
public protocol RequestHandler: Sendable {
    /// Nil for what `answer` answers at once.
    func asyncResponse(for request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> AsyncResponse?
    func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse
    /// Says why a request for this path is refused, here or before it came here; nil where `{"error":"…"}` will do.
    func errorResponse(_ error: HTTPError, path: String) -> HTTPResponse?
}

extension RequestHandler {
    public func asyncResponse(for request: HTTPRequest, body: [UInt8]) throws(HTTPError)
        -> AsyncResponse?
    { nil }
    public func errorResponse(_ error: HTTPError, path: String) -> HTTPResponse? { nil }
}
