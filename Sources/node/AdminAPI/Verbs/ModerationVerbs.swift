internal import Bytes
internal import ChatModel
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// Bans, and the connections that operators close.
struct ModerationVerbs: VerbGroup {
    /// The stored bans have changed.
    private static let refreshBans = NodeTopic("refresh_bans")
    private static let disconnect = NodeTopic("disconnect")

    let context: AdminContext

    var handlers: [String: AdminHandler] {
        [
            "ban": self.ban, "unban": self.unban, "bans": self.bans,
            "disconnect": self.disconnect,
        ]
    }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [
            Self.refreshBans: { gateway, _ in await Self.refreshBans(gateway) },
            Self.disconnect: { gateway, order in await Self.disconnect(gateway, order) },
        ]
    }

    /// Longer than the store waits for its replicas.
    private static let writeTimeout = Duration.seconds(7)

    private static func subject(_ request: AdminRequest) -> Ban.Subject {
        Ban.Subject(
            tenant: ByteString(request.text("tenant") ?? "default"),
            user: ByteString(request.text("user") ?? ""),
            conversation: request.text("conversation").map { ByteString($0) })
    }

    /// Such as `ann from lobby of tenant default`.
    private static func text(_ subject: Ban.Subject) -> String {
        let place = subject.conversation.map { "\($0) of " } ?? ""
        return "\(subject.user) from \(place)tenant \(subject.tenant)"
    }

    // MARK: Bans

    private func ban(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let subject = Self.subject(request)
        let reason = request.text("reason") ?? ""
        guard reason.count <= Ban.reasonLimit else {
            throw .badRequest("\"reason\": must have at most \(Ban.reasonLimit) characters.")
        }
        if let conversation = subject.conversation {
            let key = ConversationKey(tenant: subject.tenant, id: conversation)
            _ = try await self.context.loadModerated(key)
        }
        let now = WallClock.now
        let ban = Ban(
            subject,
            until: request.seconds("for").map {
                Timestamp(milliseconds: now.milliseconds + Int64(($0 * 1000).rounded()))
            },
            reason: reason, by: request.operatorName, since: now)
        let what = Self.text(subject) + (ban.until.map { " until \($0.text)" } ?? "")
        if request.isDryRun { return .summary("would ban \(what)") }
        _ = try await self.context.snapshot()
        try Self.checkStored(await self.write(.ban(ban)), "ban")
        let reasonText = reason.isEmpty ? "" : ": \(reason)"
        self.context.recordModeration("ban", request, detail: what + reasonText)
        let replies = try await self.announce(Self.refreshBans)
        return .summary(
            "banned \(what); \(replies.summary)",
            ban.row
                + replies.members)
    }

    private func unban(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let subject = Self.subject(request)
        let what = Self.text(subject)
        let absence = HTTPError(.notFound, "There is no ban of \(what).")
        if request.isDryRun {
            guard try await self.context.storedBans().contains(where: { $0.subject == subject })
            else {
                throw absence
            }
            return .summary("would end the ban of \(what)")
        }
        _ = try await self.context.snapshot()
        let answer = await self.write(.unban(subject))
        try Self.checkStored(answer, "end of the ban")
        if case .unbanned(false)? = answer { throw absence }
        self.context.recordModeration("unban", request, detail: what)
        let replies = try await self.announce(Self.refreshBans)
        return .summary("ended the ban of \(what)", replies.members)
    }

    /// The active bans.
    private func bans(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let (tenant, user) = (request.text("tenant"), request.text("user"))
        let bans = try await self.context.activeBans { subject in
            (tenant.map { subject.tenant == ByteString($0) } ?? true)
                && (user.map { subject.user == ByteString($0) } ?? true)
        }
        return .document([.init("bans", .array(bans))])
    }

    private func write(_ request: StoreRequest) async -> StoreAnswer? {
        await self.context.gateway?.read(request, within: Self.writeTimeout)
    }

    /// - Parameter what: what is to be stored, for the error.
    private static func checkStored(_ answer: StoreAnswer?, _ what: String) throws(HTTPError) {
        switch answer {
        case .done?, .unbanned?: return
        case .failed(let failure)? where failure.isRequestSpecific:
            throw HTTPError(.conflict, "The \(what) is not stored: \(failure).")
        case .failed(let failure)? where failure.effect != .unknown:
            throw HTTPError(.serviceUnavailable, "The \(what) is not stored: \(failure).")
        case .failed(let failure)?:
            throw HTTPError(
                .serviceUnavailable,
                "The \(what) may be stored: \(failure). Repeat the command.")
        default:
            throw HTTPError(
                .serviceUnavailable,
                "The \(what) may be stored: the store does not answer. Repeat the command.")
        }
    }

    // MARK: Connections

    private func disconnect(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let tenant = request.text("tenant") ?? "default"
        let snapshot = try await self.context.snapshot()
        var peers: [NodeLink.PeerNode]?
        let order: [JSONTree.ObjectMember]
        let what: String
        switch (request.text("user"), request.text("connection")) {
        case (let user?, nil):
            what = "\(user) of tenant \(tenant)"
            order = [.init("user", .string(user)), .init("tenant", .string(tenant))]
        case (nil, let connection?):
            let parts = connection.split(separator: "/", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw .badRequest("\"connection\": must have the form NODE/ID, such as n1/0.17.3.")
            }
            peers = [try snapshot.peer(named: parts[0])]
            what = connection
            order = [.init("connection", .string(parts[1]))]
        default: throw .badRequest("Give either \"user\" or \"connection\".")
        }
        if request.isDryRun {
            let count = request.text("user") == nil ? "" : "all connections of "
            return .summary("would close \(count)\(what)")
        }
        let replies = try await self.announce(Self.disconnect, order, to: peers)
        guard replies.closed > 0 || replies.members.contains(where: Self.isIncomplete) else {
            throw HTTPError(
                .notFound,
                peers == nil ? "\(what) has no connection." : "There is no connection \(what).")
        }
        self.context.recordModeration("disconnect", request, detail: "\(what): \(replies.summary)")
        return .summary("disconnected \(what); \(replies.summary)", replies.members)
    }

    private static func isIncomplete(_ member: JSONTree.ObjectMember) -> Bool {
        member.name == "nodes" && member.value.elements?.contains { $0["closed"] == .null } == true
    }

    // MARK: All nodes

    /// How many connections the nodes have closed.
    struct ClosedConnections {
        let rows: [(node: String, closed: Int?)]

        var closed: Int { self.rows.compactMap(\.closed).reduce(0, +) }

        /// Such as `3 connections closed: n1 2, n2 1`.
        var summary: String {
            let parts = self.rows.compactMap { row in
                row.closed.flatMap { $0 > 0 ? "\(row.node) \($0)" : nil }
            }
            let places = parts.isEmpty ? "" : ": \(parts.joined(separator: ", "))"
            return "\(OperatorText.count(self.closed, "connection")) closed\(places)"
        }

        var members: [JSONTree.ObjectMember] {
            [
                .init("closed", .integer(self.closed)),
                .init(
                    "nodes",
                    .array(
                        self.rows.map {
                            [
                                "node": .string($0.node),
                                "closed": $0.closed.map { .integer($0) } ?? .null,
                            ]
                        })),
                .init("nodes_asked", .integer(self.rows.count)),
                .init("nodes_answered", .integer(self.rows.count { $0.closed != nil })),
            ]
        }
    }

    /// Asks nodes, by default all living ones, to close connections.
    ///
    /// The nodes are those after the change was stored: a node that joins later reads it itself.
    private func announce(
        _ topic: NodeTopic, _ order: [JSONTree.ObjectMember] = [],
        to peers: [NodeLink.PeerNode]? = nil
    ) async throws(HTTPError) -> ClosedConnections {
        let snapshot = try await self.context.snapshot()
        let living = (peers ?? snapshot.peers).filter { $0.evictedFor == nil }
        let replies = await self.context.query(topic, order, of: living, in: snapshot)
        return ClosedConnections(
            rows: living.map { ($0.name, replies.byNode[$0.incarnation]?.integerValue) })
    }

    /// Answers the topic `refresh_bans`. Null if the store does not answer this node.
    private static func refreshBans(_ gateway: Gateway) async -> JSONTree {
        await gateway.refreshBans(within: Self.localTimeout).map { .integer($0) } ?? .null
    }

    /// Answers the topic `disconnect`.
    private static func disconnect(_ gateway: Gateway, _ order: JSONTree) async -> JSONTree? {
        let closed: Int?
        if let user = order["user"]?.stringValue, let tenant = order["tenant"]?.stringValue {
            closed = await gateway.disconnect(
                user: ByteString(user), in: ByteString(tenant), within: Self.localTimeout)
        } else if let name = order["connection"]?.stringValue {
            closed = await gateway.disconnect(connection: name, within: Self.localTimeout)
        } else {
            return nil
        }
        return closed.map { .integer($0) } ?? .null
    }
}
