internal import Bytes
internal import ChatModel
internal import ClusterWire
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// `confab connections`, `confab connection ID` and `confab user ID`.
struct ClientVerbs: VerbGroup {
    private static let list = NodeTopic("connections", isReading: true)
    private static let one = NodeTopic("connection", isReading: true)

    let context: AdminContext

    var handlers: [String: AdminHandler] {
        ["connections": self.connections, "connection": self.connection, "user": self.user]
    }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [Self.list: self.localConnections, Self.one: self.localConnection]
    }

    /// How many conversations of one connection are listed.
    private static let subscriptionLimit = 1000

    // MARK: On each node

    /// The first rows of this node's connections.
    func localConnections(_ gateway: Gateway, _ arguments: JSONTree) async -> JSONTree? {
        guard let request = ListRequest(arguments, columns: ConnectionReport.columns) else {
            return nil
        }
        let filter = Self.filter(request)
        let name = self.context.record.name
        return await self.context.localList(request, of: gateway) { loop, rows, deadline in
            var start: Int? = 0
            while let slot = start {
                let left = deadline - .now
                guard left > .zero,
                    let slice = await gateway.connections(
                        from: slot, of: loop, filter, within: left)
                else { return (false, 0) }
                for report in slice.connections {
                    rows.offer(
                        RowPosition(
                            RowPosition.Value(report.value(request.order.column, on: name)),
                            id: report.clusterID(on: name)),
                        report.row(on: name))
                }
                start = slice.next
            }
            return (true, 0)
        }
    }

    private static func filter(_ request: ListRequest) -> ConnectionFilter {
        var filter = ConnectionFilter()
        filter.tenant = ByteString(request["tenant"]?.stringValue ?? "default")
        filter.users =
            request["user"]?.stringValue.map { UserID.all(displayed: ByteString($0)) } ?? []
        filter.isSlowOnly = request["slow"]?.boolValue ?? false
        return filter
    }

    /// One connection of this node in full; `null` if it is closed.
    func localConnection(_ gateway: Gateway, _ arguments: JSONTree) async -> JSONTree? {
        guard let id = arguments["id"]?.stringValue.flatMap({ ConnectionID($0) }),
            let details = await gateway.connection(
                id, conversationLimit: Self.subscriptionLimit, within: Self.localTimeout)
        else { return nil }
        guard let details else { return .null }
        let row = details.report.row(on: self.context.record.name)
        return .object((row.members ?? []) + details.members)
    }

    // MARK: On the node that was asked

    func connections(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        var filter: [JSONTree.ObjectMember] = []
        let tenant = request.text("tenant") ?? "default"
        if let user = request.text("user") {
            filter = [.init("user", .string(user)), .init("tenant", .string(tenant))]
        }
        if request.flag("slow") { filter.append(.init("slow", true)) }
        let snapshot = try await self.context.snapshot()
        var peers = snapshot.peers
        if let name = request.text("node") { peers = [try snapshot.peer(named: name)] }
        let list = await self.connectionList(
            ListRequest(request, filter: filter), of: peers, in: snapshot)
        if let user = request.text("user"), list.count == 0, list.replies.isComplete {
            try await self.checkExists(user, tenant)
        }
        return .document([.init("connections", .array(list.rows))] + list.counts)
    }

    func connectionList(
        _ request: ListRequest, of peers: [NodeLink.PeerNode], in snapshot: ClusterSnapshot
    ) async -> MergedList {
        await self.context.mergedList(Self.list, request, of: peers, in: snapshot) { row in
            RowPosition(
                RowPosition.Value(row[request.order.column]), id: row["id"]?.stringValue ?? "")
        }
    }

    func connection(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let text = request.text("connection") ?? ""
        guard let id = ClusterConnectionID(text) else {
            throw .badRequest(
                """
                \"connection\": \(text) is not an id such as n1/0.12.3 from `confab connections`.
                """
            )
        }
        let snapshot = try await self.context.snapshot()
        let peer = try snapshot.peer(named: id.node)
        let replies = await self.context.query(
            Self.one, [.init("id", .string(id.local.description))], of: [peer], in: snapshot)
        guard let reply = replies.byNode[peer.incarnation] else {
            throw HTTPError(.serviceUnavailable, "\(id.node) does not answer.")
        }
        guard let members = reply.members else {
            throw HTTPError(.notFound, "There is no connection \(text); it may have closed.")
        }
        return .document(members + replies.counts)
    }
}
