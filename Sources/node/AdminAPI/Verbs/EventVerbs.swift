internal import Bytes
internal import ClusterWire
internal import HTTPWire
internal import JSON
internal import NodeLink

/// The event log of the cluster or, without Redis, of the node.
struct EventVerbs: VerbGroup {
    let context: AdminContext

    var handlers: [String: AdminHandler] { ["events": self.events] }

    /// The events that one request reads from Redis at a time, and in total.
    private static let eventPage = 1000
    private static let eventPageLimit = 20

    func events(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let id = request.text("after")
        if let id, !Self.isEventID(id) {
            throw .badRequest("\"after\" must be the id of an event.")
        }
        let peers = (try? await self.context.snapshot())?.peers ?? []
        let filter = EventFilter(
            node: request.text("node"), type: request.text("type"),
            since: request.seconds("since").map {
                Timestamp(milliseconds: WallClock.now.milliseconds - Int64($0 * 1000))
            })
        let limit = request.number("last") ?? 1
        let found: [NodeLink.Event]
        if let link = self.context.link {
            found = try await self.events(of: link, after: id, filter, limit: limit, peers)
        } else {
            let all = self.context.localEvents.events.filter { filter.accepts($0, naming: peers) }
            found =
                id.map { id in Array(all.filter { $0.isAfter(id) }.prefix(limit)) }
                ?? all.suffix(limit)
        }
        return .document([
            .init("events", .array(found.map { $0.row(node: $0.nodeName(among: peers)) }))
        ])
    }

    /// Reads pages until enough events match.
    private func events(
        of link: any ClusterLink, after id: String?, _ filter: EventFilter, limit: Int,
        _ peers: [NodeLink.PeerNode]
    ) async throws(HTTPError) -> [NodeLink.Event] {
        var found: [NodeLink.Event] = []
        var range = id.map { NodeLink.EventRange.after($0) } ?? .before(nil)
        let page = filter.isEmpty ? limit : Self.eventPage
        for _ in 0..<Self.eventPageLimit {
            guard let events = await link.events(in: range, limit: page) else {
                throw HTTPError(.serviceUnavailable, "Redis does not answer.")
            }
            let matching = events.filter { filter.accepts($0, naming: peers) }
            found = id == nil ? matching + found : found + matching
            let isOver = events.first.map { filter.isBefore($0) } ?? true
            guard events.count == page, found.count < limit, id != nil || !isOver,
                let edge = id == nil ? events.first : events.last
            else { break }
            range = id == nil ? .before(edge.id) : .after(edge.id)
        }
        return id == nil ? found.suffix(limit) : Array(found.prefix(limit))
    }

    static func isEventID(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return (1...2).contains(parts.count)
            && parts.allSatisfy { UInt64(String(Substring($0))) != nil }
    }
}

/// Selects events.
struct EventFilter {
    var node: String?
    var type: String?
    var since: Timestamp?

    var isEmpty: Bool { self.node == nil && self.type == nil && self.since == nil }

    func accepts(_ event: NodeLink.Event, naming peers: [NodeLink.PeerNode]) -> Bool {
        (self.node == nil || event.nodeName(among: peers) == self.node)
            && (self.type == nil || event["event"] == self.type) && !self.isBefore(event)
    }

    func isBefore(_ event: NodeLink.Event) -> Bool {
        self.since.map { event.time.milliseconds < $0.milliseconds } ?? false
    }
}

extension NodeLink.Event {
    /// The node's name. The event of a node whose record was unknown has only its incarnation.
    func nodeName(among peers: [NodeLink.PeerNode]) -> String? {
        if let name = self["name"], !name.isEmpty { return name }
        return self["node"].flatMap { UInt64($0, radix: 36) }.flatMap { node in
            peers.first { $0.incarnation == node }?.record?.name
        }
    }
}
