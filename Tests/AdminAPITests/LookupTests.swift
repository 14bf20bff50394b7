import Bytes
import ChatModel
import ClusterWire
import Configuration
import ExampleStore
import Gateway
import GatewayTestSupport
import HTTPWire
import JSON
import NodeLink
import Stores
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import AdminAPI

@Suite("A lookup in the admin API", .ownThread)
struct AdminLookupTests {
    private let clock = StoppedClock(monotonic: 10_000)
    private let node: TestNode
    private let admin: ClusterAdmin

    init() throws {
        self.node = try TestNode(loops: 2) { [clock] in
            $0.settings.incarnation = 1
            $0.settings.readClocks = { clock.reading }
        }
        self.admin = Self.admin(of: self.node, store: .memory)
    }

    private static func admin(of node: TestNode, store: StoreKind) -> ClusterAdmin {
        let admin = ClusterAdmin(
            record: NodeRecord(
                incarnation: 1, name: "n1", address: "here:1", host: "h", version: "1",
                loops: 2, startedAt: Timestamp(milliseconds: 0)),
            clusterName: "confab", store: store, waitReplicas: nil,
            drain: .seconds(30), logger: node.logger)
        admin.attach(node.gateway)
        return admin
    }

    @Test("names no nodes until a node with Redis has joined its cluster")
    func starting() async throws {
        let error = await #expect(throws: HTTPError.self) {
            try await Self.admin(of: self.node, store: .redis).context.snapshot()
        }
        #expect(error?.message == "The node is starting; ask again in a moment.")
        #expect(try await self.admin.context.snapshot().peers.count == 1)
    }

    @Test("describes a further store by what its kind says: alone, and kept over a restart")
    func exampleStore() async throws {
        let admin = Self.admin(of: self.node, store: .example)
        let status = try await admin.ask("status")
        #expect(status["store"] == "example")
        #expect(status["durability"] == "in the tables of the example")
        #expect(status["nodes"] == 1)
        #expect(
            admin.context.noRedis.message
                == """
                There is no Redis: this node stands alone and keeps its messages in the example.
                """
        )
        for (kind, isWarned) in [(StoreKind.example, false), (.memory, true)] {
            let report = try await Self.admin(of: self.node, store: kind).ask("doctor")
            let checks = report["checks"]?.elements ?? []
            #expect(checks.contains { $0["check"] == "store" } == isWarned)
        }
    }

    /// The document of a verb, or the error.
    private func get(_ verb: String, _ values: KeyValuePairs<String, JSONTree> = [:])
        async throws(HTTPError) -> JSONTree
    {
        try await self.admin.ask(verb, values)
    }

    private func error(_ verb: String, _ values: KeyValuePairs<String, JSONTree>) async
        -> HTTPError?
    {
        do throws(HTTPError) {
            _ = try await self.get(verb, values)
            return nil
        } catch {
            return error
        }
    }

    @Test("has a column of the command for every column of the server")
    func columns() {
        #expect(
            OperatorVerb.named("connections")?.columns.map(\.key) == ConnectionReport.columns)
        #expect(
            OperatorVerb.named("conversations")?.columns.map(\.key) == ConversationRow.columns)
    }

    @Test("lists the first connections in an order, and counts all")
    func connections() async throws {
        // Clients that have joined: before that, a connection has no subscription.
        let clients = try (0..<7).map {
            try self.node.conversationClient("user\($0)", in: "room\($0 % 2)")
        }
        try self.node.waitForConnections(7)
        let document = try await self.get("connections", ["sort": "-user", "limit": "3"])
        let rows = try #require(document["connections"]?.elements)
        #expect(rows.map { $0["user"]?.stringValue } == ["user6", "user5", "user4"])
        #expect(document["count"] == 7 && document["unresponsive_loops"] == 0)
        #expect(document["nodes_asked"] == 1 && document["nodes_answered"] == 1)
        for row in rows {
            #expect(row.members?.map(\.name) == ConnectionReport.columns)
            #expect(row["node"] == "n1" && row["rtt"] == .null)
            let id = try #require(row["id"]?.stringValue)
            #expect(ClusterConnectionID(id)?.node == "n1")
            let found = try await self.get("connection", ["connection": .string(id)])
            #expect(found["user"] == row["user"] && found["tls"] == false)
            #expect(found["subscriptions"]?.elements?.count == 1)
        }
        let own = try await self.get("connections", ["user": "user3", "node": "n1"])
        #expect(own["connections"]?.elements?.map { $0["user"] } == ["user3"])
        withExtendedLifetime(clients) {}
    }

    @Test("reads a long list page by page, and loses and repeats no row", arguments: [1, 2, 7])
    func pages(pageLimit: Int) async throws {
        let peers = try (0..<15).map { try self.node.peer("user\($0 % 4)", in: "room\($0)") }
        try self.node.waitForConnections(15)
        let snapshot = try await self.admin.context.snapshot()
        var request = ListRequest(
            order: RowOrder(column: "user", isDescending: true), limit: 12)
        request.pageLimit = pageLimit
        let list = await ClientVerbs(context: self.admin.context).connectionList(
            request, of: snapshot.peers, in: snapshot)
        let users = list.rows.compactMap { $0["user"]?.stringValue }
        let expected = Array((0..<15).map { "user\($0 % 4)" }.sorted(by: >).prefix(12))
        #expect(users == expected)
        #expect(Set(list.rows.map { $0["id"] }).count == 12)
        #expect(list.count == 15 && list.replies.isComplete)
        withExtendedLifetime(peers) {}
    }

    @Test("lists conversations with their rates, and one in full")
    func conversations() async throws {
        let ann = try self.node.conversationClient("ann", in: "busy")
        let bob = try self.node.conversationClient("bob", in: "busy")
        let cid = try self.node.conversationClient("cid", in: "quiet")
        for number in 0..<5 { try ann.post("\(number)") }
        try ann.send(#"{"action":"pin","message_id":"2"}"#)
        _ = try ann.next("pinned")
        let document = try await self.get("conversations", ["sort": "-msg_s"])
        let rows = try #require(document["conversations"]?.elements)
        #expect(rows.map { $0["id"] } == ["busy", "quiet"])
        #expect(rows[0]["head"] == 5 && rows[0]["kept"] == 5 && rows[0]["present"] == 2)
        #expect(rows[0]["msg_s"] == .number("0.5") && rows[0]["fan_out_s"] == .number("1"))
        #expect(rows[0]["owner"] == "n1" && rows[0]["kind"] == "conversations")
        #expect(document["count"] == 2 && document["inboxes"] == 0)

        let busy = try await self.get("conversation", ["conversation": "busy", "members": "1"])
        #expect(busy["member_count"] == 2 && busy["members"]?.elements?.count == 1)
        #expect(busy["members"]?.elements?[0]["nodes"] == ["n1"])
        #expect(busy["in_memory"] == true && busy["join_policy"] == "closed")
        #expect(busy["pin_policy"] == "members" && busy["pinned_count"] == 1)
        #expect(busy["presence"] == [["node": "n1", "connections": 2]])
        withExtendedLifetime((bob, cid)) {}
    }

    @Test("shows a user's connections, conversations and unread messages")
    func user() async throws {
        let ann = try self.node.conversationClient("ann", in: "one")
        let again = try self.node.conversationClient("ann", in: "two")
        let bob = try self.node.conversationClient("bob", in: "one")
        try bob.post("hello")
        let document = try await self.get("user", ["user": "ann"])
        #expect(document["online"] == true && document["count"] == 2)
        #expect(document["presence"] == [["node": "n1", "connections": 2]])
        let rows = try #require(document["conversations"]?.elements)
        // The newest activity first.
        #expect(rows.map { $0["conversation"] } == ["one", "two"])
        #expect(rows.map { $0["unread"] } == [1, 0])
        try ann.socket.close()
        try again.socket.close()
        try self.node.waitForConnections(1)
        let offline = try await self.get("user", ["user": "ann", "limit": "1"])
        #expect(offline["online"] == false && offline["connections"] == [])
        #expect(offline["conversations"]?.elements?.count == 1)
        #expect(try await self.get("connections", ["user": "ann"])["connections"] == [])
    }

    @Test("shows the bans of a user and of a conversation")
    func bans() async throws {
        let ann = try self.node.conversationClient("ann", in: "one")
        _ = try await self.get(
            "ban", ["user": "bob", "conversation": "one", "reason": "Spam.", "for": "1h"])
        _ = try await self.get("ban", ["user": "eve"])
        let one = try await self.get("conversation", ["conversation": "one"])
        #expect(one["bans"]?.elements?.map { $0["user"] } == ["bob"])
        #expect(one["bans"]?.elements?.first?["reason"] == "Spam.")
        // A banned user may have no connection and no conversation.
        let eve = try await self.get("user", ["user": "eve"])
        #expect(eve["bans"]?.elements?.map { $0["conversation"] } == [.null])
        #expect(eve["online"] == false && eve["conversations"] == [])
        #expect(try await self.get("user", ["user": "ann"])["bans"] == [])
        withExtendedLifetime(ann) {}
    }

    @Test("shows a node with its settings, and every loop")
    func nodeDetails() async throws {
        self.admin.attach([
            NodeSetting(name: "listen", value: "here:1", source: "command line"),
            NodeSetting(name: "limit message-bytes", value: "7", source: "default"),
        ])
        let document = try await self.get("node", ["node": "n1"])
        #expect(document["state"] == "active" && document["redis_mode"] == .null)
        #expect(
            document["settings"] == [
                ["name": "listen", "value": "here:1", "source": "command line"]
            ])
        #expect(
            document["limits"] == [["name": "message-bytes", "value": "7", "source": "default"]])
        let loops = try #require(document["loops"]?.elements)
        #expect(loops.map { $0["loop"] } == [0, 1])
        #expect(loops.allSatisfy { $0["answered"] == true && $0["redis"] == .null })
    }

    @Test("names what does not exist, or is wrong")
    func errors() async {
        #expect(
            await self.error("user", ["user": "eve"])?.message
                == """
                There is no user eve in tenant default: no connection, and no conversation with \
                this member.
                """)
        #expect(await self.error("connections", ["user": "eve"])?.status == .notFound)
        #expect(
            await self.error("connections", ["node": "n9"])?.message
                == "There is no node n9; there are n1.")
        #expect(await self.error("node", ["node": "n9"])?.status == .notFound)
        #expect(await self.error("shards", ["node": "n9"])?.status == .notFound)
        #expect(
            await self.error("drain", ["node": "n9"])?.message
                == "There is no node n9; there are n1.")
        for verb in ["owner", "history", "verify", "repair"] {
            #expect(
                await self.error(verb, ["conversation": "nowhere"])?.message
                    == "There is no conversation nowhere in tenant default.", "\(verb)")
        }
        #expect(
            await self.error("send", ["conversation": "nowhere", "content": "x", "user": "ops"])?
                .message == "There is no conversation nowhere in tenant default.")
        #expect(
            await self.error("conversation", ["conversation": "nowhere"])?.message
                == "There is no conversation nowhere in tenant default.")
        #expect(
            await self.error("connection", ["connection": "n1/0.9.9"])?.message
                == "There is no connection n1/0.9.9; it may have closed.")
        #expect(await self.error("connection", ["connection": "n9/0.9.9"])?.status == .notFound)
        #expect(await self.error("connection", ["connection": "0.9.9"])?.status == .badRequest)
        for (name, value) in [("sort", "none"), ("limit", "0"), ("limit", "10001"), ("slow", "x")] {
            let error = await self.error("connections", [name: .string(value)])
            #expect(error?.status == .badRequest && error?.message.contains("\"\(name)\"") == true)
        }
    }

    @Test("claims the shard of a conversation that no client has used since the start")
    func unusedOwner() async throws {
        let folder: TemporaryFolder
        do {
            let before = try TestNode(store: .sqlite)
            folder = before.folder
            try before.conversationClient("ann").post("one")
        }
        let node = try TestNode(store: .sqlite, in: folder) { $0.settings.incarnation = 1 }
        let owner = try await Self.admin(of: node, store: .sqlite).ask(
            "owner", ["conversation": "room"])
        #expect(owner["owner"] == "n1" && owner["epoch"]?.integerValue ?? 0 >= 1)
    }

    @Test("of another node is refused if it is malformed")
    func malformed() async {
        let valid: [JSONTree.ObjectMember] = [
            .init("sort", "-pending"), .init("limit", 5), .init("page", 5),
        ]
        #expect(await self.admin.context.reply(to: NodeRequest("connections", valid)) != nil)
        for index in valid.indices {
            var members = valid
            members.remove(at: index)
            #expect(await self.admin.context.reply(to: NodeRequest("connections", members)) == nil)
        }
        for topic in ["connection", "conversation"] {
            #expect(await self.admin.context.reply(to: NodeRequest(topic)) == nil)
        }
    }
}
