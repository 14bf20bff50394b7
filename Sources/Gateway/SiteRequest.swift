public import EventLoop
public import HTTPWire

/// A plain HTTP request, whole, as a site's handler gets it.
public struct SiteRequest: Sendable {
    public let method: HTTPMethod
    /// Still percent-encoded.
    public let path: String
    public let query: String?
    public let host: String?
    public let origin: String?
    public let authorization: String?
    public let contentType: String?
    public let peer: SocketAddress

    public init(
        method: HTTPMethod, path: String, query: String? = nil, host: String? = nil, origin: String? = nil, authorization: String? = nil,
        contentType: String? = nil, peer: SocketAddress
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.host = host
        self.origin = origin
        self.authorization = authorization
        self.contentType = contentType
        self.peer = peer
    }
}

/// What a site answers.
public struct SiteResponse: Sendable {
    public var status: HTTPStatus
    public var contentType: StaticString
    public var fields: [HTTPField]
    public var body: [UInt8]

    public init(_ status: HTTPStatus = .ok, contentType: StaticString = "application/json", fields: [HTTPField] = [], body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.fields = fields
        self.body = body
    }
}

/// Finds an answer that takes its time: it is others' to give.
public typealias SiteWork = @Sendable () async throws(HTTPError) -> SiteResponse

/// Answers the plain HTTP requests of a listener, on any loop.
public protocol SiteHandler: Sendable {
    /// Nil for what `answer` answers at once.
    func work(for request: SiteRequest, body: [UInt8]) throws(HTTPError) -> SiteWork?
    func answer(_ request: SiteRequest, body: [UInt8]) throws(HTTPError) -> SiteResponse
}

extension SiteHandler {
    public func work(for request: SiteRequest, body: [UInt8]) throws(HTTPError) -> SiteWork? { nil }
}
