internal import ChatModel
internal import Cluster
internal import ClusterWire
internal import Configuration
internal import HTTPWire
internal import JSON

/// The documents of the operators' page, which repeats one request for all its views.
struct PageVerbs: VerbGroup {
    let context: AdminContext
    let status: StatusVerbs
    let nodes: NodeVerbs
    let events: EventVerbs

    var handlers: [String: AdminHandler] {
        [
            "overview": { _ async throws(HTTPError) in await self.overview() },
            "verbs": { request async throws(HTTPError) in Self.verbs(for: request) },
        ]
    }

    private static let eventCount = 50

    /// A part that fails does not hide the others: it is `{"error":"…","status":503}`.
    private func overview() async -> JSONTree {
        async let status = Self.part("status") { () async throws(HTTPError) in
            try await self.status.status()
        }
        async let nodes = Self.part("nodes") { () async throws(HTTPError) in
            try await self.nodes.nodes()
        }
        async let redis = Self.part("redis") { () async throws(HTTPError) in
            try await self.nodes.redis(measuresStreams: false)
        }
        async let events = Self.part("events") { () async throws(HTTPError) in
            try await self.newestEvents()
        }
        async let shards = Self.part("shards") { () async throws(HTTPError) in
            try await self.shardOwners()
        }
        return .document([
            .init("answered_by", .string(self.context.record.name)),
            .init("status", await status), .init("nodes", await nodes),
            .init("shards", await shards), .init("redis", await redis),
            .init("events", await events),
        ])
    }

    private static func part(
        _ verb: String, _ work: () async throws(HTTPError) -> JSONTree
    ) async -> JSONTree {
        do throws(HTTPError) {
            let document = try await work()
            return OperatorVerb.named(verb).map { AdminRouter.completed(document, $0) } ?? document
        } catch {
            return [
                "error": .string(error.message), "status": .integer(error.status.rawValue),
            ]
        }
    }

    private func newestEvents() async throws(HTTPError) -> JSONTree {
        guard let verb = OperatorVerb.named("events") else { throw .notFound }
        let request = try AdminRequest(
            verb, [.init("last", .integer(Self.eventCount))], isQuery: false, operatorName: "")
        return try await self.events.events(request)
    }

    /// The owners of all shards, from the view of this node: no other node is asked. `owners` has
    /// one index of `nodes` for each shard. Owners are spread by a hash, so runs would be longer.
    private func shardOwners() async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.context.snapshot()
        let nodes = snapshot.view.nodes.map(\.incarnation)
        let indexes = Dictionary(
            uniqueKeysWithValues: nodes.enumerated().map { ($0.element, $0.offset) })
        let shards = 0..<Shard.count
        return [
            "view": .integer(snapshot.view.number),
            "nodes": .array(nodes.map { .string(snapshot.name(of: $0)) }),
            "owners": .array(
                shards.map { shard in
                    indexes[snapshot.view.owner(of: shard).incarnation].map { .integer($0) }
                        ?? .null
                }),
            "moving": .array(
                shards.filter { snapshot.view.state(of: $0) == "moving" }.map { .integer($0) }),
        ]
    }

    /// The verbs with a path, and what the caller may do.
    private static func verbs(for request: AdminRequest) -> JSONTree {
        return .document([
            .init("operator", .string(request.operatorName)),
            .init("roles", .array(request.role.included.map { .string($0.rawValue) })),
            .init("verbs", .array(OperatorVerb.documents)),
        ])
    }
}
