import Bytes
import HTTPWire
import JSON
import Synchronization

/// Plain HTTP on the client port: health.
struct ClientSite: SiteHandler {
    let node: String
    let version: String
    let health: Health
    let startedAt: Int64
    let now: @Sendable () -> Int64

    func answer(_ request: SiteRequest, body: [UInt8]) throws(HTTPError) -> SiteResponse {
        guard request.path == "/api/health" else { throw .notFound }
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
