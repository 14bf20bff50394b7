import Bytes
import HTTPWire
import JSON

/// The endpoints that load balancers and orchestrators probe.
struct HealthEndpoint: RequestHandler {
    enum Probe {
        /// Whether the node should get clients.
        case health
        /// Whether the process should keep running.
        case live
    }

    var probe: Probe
    let node: String
    let version: String
    let health: Health
    let startedAt: Int64
    let now: @Sendable () -> Int64

    func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        switch self.probe {
        case .health: self.healthResponse
        case .live: self.livenessResponse
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
        let limits = self.health.refusingLimits
        if !limits.isEmpty {
            members.append(.init("refusing", .array(limits.map { .string($0) })))
        }
        var text = ByteBuffer()
        text.append(json: .object(members))
        return HTTPResponse(
            reason == nil ? .ok : .serviceUnavailable,
            fields: [HTTPField("Cache-Control", "no-store")], body: text.bytes)
    }
}
