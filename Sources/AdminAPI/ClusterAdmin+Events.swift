internal import Bytes
internal import HTTPWire
internal import JSON
internal import NodeLink

/// The cluster's event log.
extension ClusterAdmin {
    func events(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        guard let link = self.link else { throw self.noRedis }
        let id = request.text("after")
        if let id, !Self.isEventID(id) {
            throw .badRequest("\"after\" must be the id of an event.")
        }
        let limit = request.number("last") ?? 1
        guard let events = await link.events(after: id, limit: limit) else {
            throw HTTPError(.serviceUnavailable, "Redis does not answer.")
        }
        return Self.document([.init("events", .array(events.map(Self.row)))])
    }

    static func isEventID(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return (1...2).contains(parts.count)
            && parts.allSatisfy { UInt64(String(Substring($0))) != nil }
    }

    static func row(_ event: NodeLink.Event) -> JSONTree {
        let name = event["name"].flatMap { $0.isEmpty ? nil : $0 } ?? event["node"]
        return [
            "id": .string(event.id), "timestamp": .string(event.time.text),
            "event": .string(event["event"] ?? "?"),
            "node": name.map { .string($0) } ?? .null,
            "operator": event["operator"].map { .string($0) } ?? .null,
            "view": event["view"].flatMap { Int($0) }.map { .integer($0) } ?? .null,
            "detail": event["detail"].map { .string($0) } ?? .null,
        ]
    }
}
