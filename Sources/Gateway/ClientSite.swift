import Bytes
import HTTPWire
import JSON
import Synchronization

/// Plain HTTP on the client port: health, and what the REST API answers.
struct ClientSite: SiteHandler {
    /// As all paths, with the last slash and without it.
    static func isHealth(_ path: String) -> Bool { path == "/api/health" || path == "/api/health/" }

    /// The same of a request whose head was read.
    static func isHealth(_ head: HTTPRequestHead, in bytes: RawSpan) -> Bool {
        head.pathEquals("/api/health", in: bytes) || head.pathEquals("/api/health/", in: bytes)
    }

    let node: String
    let version: String
    let health: Health
    let startedAt: Int64
    let now: @Sendable () -> Int64
    var rest: (any SiteHandler)?

    func work(for request: SiteRequest, body: [UInt8]) throws(HTTPError) -> SiteWork? {
        guard !Self.isHealth(request.path) else { return nil }
        return try self.rest?.work(for: request, body: body)
    }

    func refusal(_ error: HTTPError, path: String) -> SiteResponse? {
        guard !Self.isHealth(path) else { return nil }
        return self.rest?.refusal(error, path: path)
    }

    func answer(_ request: SiteRequest, body: [UInt8]) throws(HTTPError) -> SiteResponse {
        guard Self.isHealth(request.path) else {
            guard let rest = self.rest else { throw .notFound }
            return try rest.answer(request, body: body)
        }
        guard request.method == .get || request.method == .head else { throw .methodNotAllowed("GET", "HEAD") }
        let (status, reason): (String, String?) =
            switch self.health.status {
            case .healthy: ("healthy", nil)
            case .starting: ("degraded", "the node is starting")
            case .degraded(let reason): ("degraded", reason)
            case .draining: ("draining", "the node is going down")
            }
        var members: [JSONTree.Member] = [
            .init("status", .string(status)), .init("node", .string(self.node)), .init("version", .string(self.version)),
            .init("uptime_seconds", .integer((self.now() - self.startedAt) / 1000)),
        ]
        if let reason { members.append(.init("reason", .string(reason))) }
        var text = ByteBuffer()
        text.append(json: .object(members))
        return SiteResponse(
            reason == nil ? .ok : .serviceUnavailable, fields: [HTTPField("Cache-Control", "no-store")], body: text.bytes)
    }
}
