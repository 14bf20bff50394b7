import Bytes
import HTTPWire
import JSON

/// Answers HTTP requests on the client port: health, and the REST API.
struct PublicEndpoints: RequestHandler {
    /// The endpoints that load balancers and orchestrators probe.
    enum HealthEndpoint {
        /// Whether the node should get clients.
        case health
        /// Whether the process should keep running.
        case live

        /// Accepts the path with and without a trailing slash, as for every path.
        init?(_ path: String) {
            switch path {
            case "/api/health", "/api/health/": self = .health
            case "/api/live", "/api/live/": self = .live
            default: return nil
            }
        }
    }

    static func isProbe(_ path: String) -> Bool { HealthEndpoint(path) != nil }

    /// The same for a parsed head.
    static func isProbe(_ head: HTTPRequestHead, in bytes: RawSpan) -> Bool {
        head.pathEquals("/api/health", in: bytes) || head.pathEquals("/api/health/", in: bytes)
            || head.pathEquals("/api/live", in: bytes)
            || head.pathEquals("/api/live/", in: bytes)
    }

    /// Whether an unparsable request has a target of the API, so that its error has the API's
    /// shape.
    ///
    /// - Parameter bytes: the input from the request's first byte.
    static func isAPI(unreadable bytes: UnsafeRawBufferPointer) -> Bool {
        var line = bytes[...]
        if line.starts(with: "\r\n".utf8) { line = line.dropFirst(2) }
        let target = line.drop { $0 > 0x20 }.dropFirst()
        return target.starts(with: "/api/".utf8)
            || ["/api ", "/api?"].contains { target.starts(with: $0.utf8) }
    }

    let node: String
    let version: String
    let health: Health
    let startedAt: Int64
    let now: @Sendable () -> Int64
    var api: (any RequestHandler)?

    func asyncResponse(for request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> AsyncResponse?
    {
        guard !Self.isProbe(request.path) else { return nil }
        return try self.api?.asyncResponse(for: request, body: body)
    }

    func errorResponse(_ error: HTTPError, path: String) -> HTTPResponse? {
        path.hasPrefix("/api/") || path == "/api" ? HTTPResponse(apiError: error) : nil
    }

    func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        guard let probe = HealthEndpoint(request.path) else {
            guard let api = self.api else { throw .notFound }
            return try api.answer(request, body: body)
        }
        guard request.method == .get || request.method == .head else {
            throw .methodNotAllowed("GET", "HEAD")
        }
        switch probe {
        case .health: return self.healthResponse
        case .live: return self.livenessResponse
        }
    }

    private var healthResponse: HTTPResponse {
        switch self.health.status {
        case .healthy: self.statusResponse("healthy", nil)
        case .starting: self.statusResponse("degraded", "the node is starting")
        case .degraded(let reason): self.statusResponse("degraded", reason)
        case .draining: self.statusResponse("draining", "the node is going down")
        }
    }

    private var livenessResponse: HTTPResponse {
        guard let loop = self.health.stuckLoop else { return self.statusResponse("live", nil) }
        return self.statusResponse("stuck", Health.stuckReason(loop: loop))
    }

    /// - Parameter reason: nil if there is no problem.
    private func statusResponse(_ status: String, _ reason: String?) -> HTTPResponse {
        var members: [JSONTree.ObjectMember] = [
            .init("status", .string(status)), .init("node", .string(self.node)),
            .init("version", .string(self.version)),
            .init("uptime_seconds", .integer((self.now() - self.startedAt) / 1000)),
        ]
        if let reason { members.append(.init("reason", .string(reason))) }
        var text = ByteBuffer()
        text.append(json: .object(members))
        return HTTPResponse(
            reason == nil ? .ok : .serviceUnavailable,
            fields: [HTTPField("Cache-Control", "no-store")], body: text.bytes)
    }
}
