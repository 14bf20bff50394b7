internal import Bytes
internal import HTTPWire
internal import JSON
internal import NodeLink

/// The cluster's event log.
extension ClusterAdmin {
    static let eventLimit = 1000

    /// - Parameter id: the event to continue after; nil for the newest events.
    func events(after id: String?, limit: Int) async throws(HTTPError) -> JSONTree {
        guard let link = self.link else { throw self.noRedis }
        if let id, !Self.isEventID(id) {
            throw .badRequest("\"after\" must be the id of an event.")
        }
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
            "view": event["view"].flatMap { Int($0) }.map { .integer($0) } ?? .null,
            "detail": Self.detail(of: event).map { .string($0) } ?? .null,
        ]
    }

    /// The details of an operator's action.
    private static func detail(of event: NodeLink.Event) -> String? {
        if let conversation = event["conversation"], let tenant = event["tenant"],
            let user = event["user"], let message = event["message"]
        {
            return "message \(message) of \(conversation) in tenant \(tenant), as \(user)"
        }
        if let connections = event["connections"], let seconds = event["seconds"] {
            return
                """
                \(connections) connection\(connections == "1" ? "" : "s") to be closed within \
                \(seconds) s
                """
        }
        return nil
    }
}
