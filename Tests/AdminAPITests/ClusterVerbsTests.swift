import Bytes
import ChatModel
import Cluster
import Configuration
import EventLoop
import GatewayTestSupport
import HTTPWire
import JSON
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import AdminAPI
@testable import Gateway

/// Three nodes in this process; the verbs are those of `confab`, on any of them.
@Suite("A verb over several nodes", .ownThread)
struct ClusterVerbsTests {
    private let cluster: MemoryCluster

    init() throws { self.cluster = try MemoryCluster("n1", "n2", "n3") }

    // MARK: Nodes and shards

    @Test("lists all nodes with their loads, whichever node is asked")
    func nodes() async throws {
        let ann = try self.cluster.client("ann", at: 1)
        for number in 1...3 {
            let rows = try await self.cluster.rows("nodes", "nodes", at: number)
            #expect(rows.map { $0["node"] } == ["n1", "n2", "n3"])
            #expect(rows.allSatisfy { $0["state"] == "active" && $0["health"] == "healthy" })
            #expect(rows.map { $0["connections"] } == [1, 0, 0])
            #expect(rows.map { $0["imbalance"] } == [200, -100, -100])
            #expect(rows.compactMap { $0["shards"]?.integerValue }.reduce(0, +) == Shard.count)
            #expect(rows.allSatisfy { $0["shards"]?.integerValue ?? 0 > 1000 })
            #expect(
                rows[1]["address"] == .string(self.cluster.node(2).gateway.clientAddress.text))
        }
        let status = try await self.cluster.ask("status", at: 2)
        #expect(status["connections"] == 1 && status["nodes"] == 3)
        #expect(status["answered_by"] == "n2" && status["problems"] == [])
        #expect(status["nodes_asked"] == 3 && status["nodes_answered"] == 3)
        #expect(status["durability"] == "in the memory of Redis")
        let redis = try await self.cluster.rows("redis", "redis", at: 3)
        #expect(redis.map { $0["role"] } == ["master", "master", "master"])
        #expect(
            redis.allSatisfy { $0["stream_bytes"] == 4096 && $0["round_trip"]?.doubleValue == 0.5 }
        )
        withExtendedLifetime(ann) {}
    }

    @Test("finds the owner of a conversation, and its shard, from every node")
    func owner() async throws {
        let ann = try self.cluster.client("ann", at: 1)
        try ann.post("one")
        var owners: [JSONTree] = []
        for number in 1...3 {
            owners.append(
                try await self.cluster.ask("owner", ["conversation": "lobby"], at: number))
        }
        #expect(owners[0] == owners[1] && owners[1] == owners[2])
        #expect(owners[0]["head"] == 1 && owners[0]["epoch"]?.integerValue ?? 0 >= 1)
        let name = try #require(owners[0]["owner"])
        let shards = try await self.cluster.rows("shards", "shards", at: 2)
        #expect(shards.count == Shard.count)
        let shard = try #require(shards.first { $0["shard"] == owners[0]["shard"] })
        #expect(shard["owner"] == name && shard["epoch"] == owners[0]["epoch"])
        #expect(shard["conversations"] == 1 && shard["since"] != .null)
        let own = try await self.cluster.rows("shards", "shards", ["node": name], at: 3)
        #expect(own.count < Shard.count && own.allSatisfy { $0["owner"] == name })
        #expect(own.contains { $0["shard"] == shard["shard"] && $0["epoch"] == shard["epoch"] })
    }

    // MARK: Lookups

    @Test("shows a conversation with the members and connections of every node")
    func conversation() async throws {
        let clients = try [1, 2, 3].map { try self.cluster.client("user\($0)", at: $0) }
        try clients[0].post("hello")
        let found = try await self.cluster.document(
            "conversation", ["conversation": "lobby"], at: 2
        ) {
            $0["present"] == 3
        }
        #expect(found["in_memory"] == true && found["head"] == 1 && found["tenant"] == "default")
        let presence = try #require(found["presence"]?.elements)
        #expect(presence.map { $0["node"] } == ["n1", "n2", "n3"])
        #expect(presence.map { $0["connections"] } == [1, 1, 1])
        let members = try #require(found["members"]?.elements)
        #expect(members.map { $0["nodes"] } == [["n1"], ["n2"], ["n3"]])
        let busiest = try await self.cluster.rows(
            "conversations", "conversations", ["sort": "-head", "limit": "1"], at: 3)
        #expect(busiest.map { $0["id"] } == ["lobby"])
        withExtendedLifetime(clients) {}
    }

    @Test("lists the connections of all nodes, and finds one by its id or its user")
    func connections() async throws {
        let clients = try [1, 2, 3].map { try self.cluster.client("user\($0)", at: $0) }
        for number in 1...3 {
            let rows = try await self.cluster.rows(
                "connections", "connections", ["sort": "user"], at: number)
            #expect(rows.map { $0["user"] } == ["user1", "user2", "user3"])
            #expect(rows.map { $0["node"] } == ["n1", "n2", "n3"])
        }
        let own = try await self.cluster.rows("connections", "connections", ["node": "n2"], at: 3)
        #expect(own.map { $0["user"] } == ["user2"])
        let id = try #require(own.first?["id"])
        #expect(id.stringValue?.hasPrefix("n2/") == true)
        #expect(try await self.cluster.ask("connection", ["connection": id])["user"] == "user2")

        let user = try await self.cluster.ask("user", ["user": "user2"], at: 1)
        #expect(user["online"] == true)
        let presence = try #require(user["presence"]?.elements)
        #expect(presence.map { $0["connections"] } == [0, 1, 0])
        let node = try await self.cluster.ask("node", ["node": "n3"])
        #expect(node["redis_mode"] == "standalone" && node["connections"] == 1)
        #expect(node["loops"]?.elements?.map { $0["redis"] } == ["ready"])
        withExtendedLifetime(clients) {}
    }

    // MARK: Messages

    @Test("sends, reads and verifies messages through any node")
    func messages() async throws {
        let ann = try self.cluster.client("ann", at: 1)
        try ann.post("one")
        let sent = try await self.cluster.ask(
            "send", ["conversation": "lobby", "content": "two", "user": "ops"], at: 3)
        #expect(sent["summary"] == "message 2 of lobby")
        #expect(try ann.next("chat_message").object("message")?["content"] == "two")
        let history = try await self.cluster.rows(
            "history", "messages", ["conversation": "lobby"], at: 2)
        #expect(history.map { $0["sender_id"] } == ["ann", "ops"])
        for number in 1...3 {
            let checked = try await self.cluster.ask(
                "verify", ["conversation": "lobby"], at: number)
            #expect(checked["complete"] == true && checked["messages"] == 2)
            // The owner is another node for two of them.
            #expect(checked["owner_head"] == 2 && checked["nodes_answered"] == 1)
            let repaired = try await self.cluster.ask(
                "repair", ["conversation": "lobby"], at: number)
            #expect(repaired["summary"] == "lobby has no faults")
        }
        let event = try await self.cluster.rows("events", "events", ["type": "send"], at: 1)
        #expect(event.map { $0["node"] } == ["n3"])
        #expect(event.first?["detail"] == "message 2 of lobby of tenant default, as ops")
    }

    @Test("shows the path of a message over the nodes, from every node")
    func trace() async throws {
        let ann = try self.cluster.client("ann", at: 1)
        let bob = try self.cluster.client("bob", at: 2)
        try ann.post("hello")
        _ = try bob.next("chat_message")
        try bob.synchronize()
        for number in 1...3 {
            let found = try await self.cluster.document(
                "trace", ["message": "1", "conversation": "lobby"], at: number
            ) { $0["state"] == "delivered" }
            #expect(found["accepted_on"] == "n1")
            let steps = try #require(found["steps"]?.elements)
            let names = Set(steps.compactMap { $0["step"]?.stringValue })
            #expect(
                names.isSuperset(of: [
                    "accepted", "sequenced", "stored", "received", "written", "delivered",
                    "answered",
                ]), "\(names)")
            for step in ["received", "written"] {
                let places = steps.filter { $0["step"]?.stringValue == step }.map { $0["node"] }
                #expect(Set(places) == ["n1", "n2"], "\(step)")
            }
        }
        let own = try await self.cluster.rows("trace", "messages", ["user": "bob"], at: 3)
        #expect(own.map { $0["direction"] } == ["to"] && own.map { $0["message"] } == [1])
        #expect(
            await self.cluster.error(of: "trace", ["message": "9", "conversation": "lobby"])
                == "404 lobby has no message 9; its newest is 1.")
        #expect(
            await self.cluster.error(of: "trace", ["message": "1", "conversation": "nowhere"])
                == "404 There is no conversation nowhere in tenant default.")
        // Both nodes wrote it to sockets, and measured the time since the other accepted it.
        for number in 1...2 {
            let metrics = try self.cluster.node(number).metrics("the delivery") {
                $0.histogram(of: .deliverySeconds)?.count ?? 0 >= 1
            }
            let times = try #require(metrics.histogram(of: .deliverySeconds))
            #expect(times.maximum < 5_000_000_000)
        }
    }

    // MARK: Moderation

    @Test("closes the connections of a user or one connection, and says how many on which node")
    func disconnect() async throws {
        let first = try [1, 2, 3].map { try self.cluster.client("ann", at: $0) }
        let bob = try self.cluster.client("bob", at: 2)
        let plan = try await self.cluster.ask("disconnect", ["user": "ann", "dry_run": true])
        #expect(plan["summary"] == "would close all connections of ann of tenant default")
        let closed = try await self.cluster.ask("disconnect", ["user": "ann"], at: 2)
        #expect(
            closed["summary"]
                == "disconnected ann of tenant default; 3 connections closed: n1 1, n2 1, n3 1")
        for client in first {
            #expect(
                try client.closeEvent()
                    == .close(code: 1012, reason: "disconnected by an operator"))
        }
        let list = try await self.cluster.rows("connections", "connections", ["node": "n2"])
        let id = try #require(list.first { $0["user"] == "bob" }?["id"])
        _ = try await self.cluster.ask("disconnect", ["connection": id], at: 3)
        guard case .close(1012, _) = try bob.closeEvent() else { throw TestFailure("not closed") }
        for (values, error) in [
            (["user": "eve"], "404 eve of tenant default has no connection."),
            ([:], "400 Give either \"user\" or \"connection\"."),
            (["connection": "n9/0.1.1"], "404 There is no node n9; there are n1, n2, n3."),
            (["connection": "n1/0.9999.1"], "404 There is no connection n1/0.9999.1."),
        ] as [(KeyValuePairs<String, JSONTree>, String)] {
            #expect(await self.cluster.error(of: "disconnect", values) == error)
        }
    }

    @Test("bans a user on every node, and ends the ban on every node")
    func ban() async throws {
        let sockets = try [1, 2].map { try self.cluster.client("ann", at: $0) }
        let banned = try await self.cluster.ask("ban", ["user": "ann", "reason": "Spam."], at: 3)
        #expect(
            banned["summary"]
                == "banned ann from tenant default; 2 connections closed: n1 1, n2 1")
        for socket in sockets {
            #expect(
                try socket.closeEvent() == .close(code: 4004, reason: "You are banned. Spam."))
        }
        for number in 1...3 {
            let refused = ConversationClient(
                try RawWebSocketClient(
                    try TestNode.path("ann", in: "lobby"), port: self.cluster.node(number).port))
            guard case .close(4004, _) = try refused.closeEvent() else {
                throw TestFailure("n\(number) admits a banned user")
            }
            let bans = try await self.cluster.rows("bans", "bans", at: number)
            #expect(bans.map { $0["user"] } == ["ann"])
        }
        let ended = try await self.cluster.ask("unban", ["user": "ann"], at: 1)
        #expect(ended["nodes_answered"] == 3)
        for number in 1...3 { try self.cluster.client("ann", at: number).post("back") }
        #expect(
            await self.cluster.error(of: "unban", ["user": "ann"], at: 2)
                == "404 There is no ban of ann from tenant default.")
        let actions = try await self.cluster.rows("events", "events", at: 2)
        #expect(actions.map { $0["event"] } == ["ban", "unban"])
        #expect(actions.map { $0["node"] } == ["n3", "n1"])
        #expect(actions.allSatisfy { $0["operator"] == "test" })
    }

    @Test("ends a conversation, deletes its messages, and records who did it")
    func removal() async throws {
        let ann = try self.cluster.client("ann", at: 1)
        let bob = try self.cluster.client("bob", at: 2)
        for number in 1...70 { try ann.post("text \(number)") }
        let deleted = try await self.cluster.ask(
            "delete", ["conversation": "lobby", "message": 3], at: 3)
        #expect(deleted["summary"] == "deleted message 3 of lobby of tenant default")
        #expect(try bob.next("message.deleted").object("message")?["id"] == "3")
        #expect(
            await self.cluster.error(of: "delete", ["conversation": "lobby", "message": 71])
                == "404 There is no message 71 in lobby of tenant default.")
        _ = try await self.cluster.ask("end", ["conversation": "lobby"], at: 2)
        try ann.sendMessage("too late")
        #expect(try ann.next("message.failed")["error"] == "conversation ended")
        #expect(
            await self.cluster.error(of: "end", ["conversation": "lobby"], at: 3)
                == "409 lobby of tenant default has ended already.")

        let plan = try await self.cluster.ask(
            "delete", ["conversation": "lobby", "dry_run": true])
        #expect(
            plan["summary"]
                == """
                would end lobby of tenant default, delete its 70 retained messages and remove its \
                2 members
                """)
        let whole = try await self.cluster.ask("delete", ["conversation": "lobby"])
        #expect(whole["deleted"] == 69 && whole["removed"] == 2)
        for number in 1...3 {
            let messages = try await self.cluster.rows(
                "history", "messages", ["conversation": "lobby", "last": 100], at: number)
            #expect(messages.count == 70 && messages.allSatisfy { $0["content"] == "" })
        }
        let actions = try await self.cluster.rows("events", "events", at: 2)
        #expect(actions.map { $0["event"] } == ["delete", "end", "delete"])
        #expect(actions.map { $0["node"] } == ["n3", "n2", "n1"])
        #expect(actions.allSatisfy { $0["operator"] == "test" })
    }
}
