import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

@Suite("Operator commands for a single node", .programs, .ownThread)
struct SingleNodeCommandTests {
    @Test("are answered as by a cluster of one node")
    func commands() throws {
        let server = try ConfabServer(["--node-id", "solo"], store: .sqlite)
        let alice = try server.connect("alice")
        try alice.synchronize()
        try alice.post("one")
        let port = server.adminPort

        let rows = try confab("nodes", "--output", "json", at: port).rows("nodes")
        #expect(rows.map { $0["node"] } == ["solo"])
        #expect(
            rows[0].number("connections") == 1 && rows[0].number("shards") == 4096
                && rows[0]["state"] == "active")
        #expect(try confab("status", at: port).output.contains("No problems."))
        #expect(
            try confab("shards", "--all", "--limit", "2", at: port).output.split(separator: "\n")
                .count == 4)
        let shards = try confab("shards", "--output", "csv", at: port).output
        #expect(
            shards.hasPrefix(
                "node,shards,claimed,moving,conversations,msg_s,ranges\nsolo,4096,1,0,1,")
                && shards.hasSuffix(",0-4095"), "\(shards)")
        #expect(try confab("conversations", "--limit", "100000", at: port).status == 0)
        #expect(
            try confab("owner", "lobby", "--output", "json", at: port).document["reason"]
                == "solo is the only node")
        #expect(
            try confab("send", "lobby", "two", "--as", "alice", "--yes", at: port).output
                == "message 2 of lobby")
        #expect(try alice.next("chat_message").object("message")?["content"] == "two")
        #expect(
            try confab("history", "lobby", "--last", "1", "--output", "csv", at: port).output
                .contains("2,20"))
        #expect(try confab("verify", "lobby", at: port).status == 0)
        let redis = try confab("redis", at: port)
        #expect(redis.status == 1)
        #expect(
            redis.errors
                == "confab: There is no Redis: this node stands alone and keeps its messages in "
                + "SQLite."
        )

        let refused = try confab("drain", "solo", "--yes", at: port)
        #expect(
            refused.status == 1
                && refused.errors
                    == "confab: solo is the last node that accepts clients; --force drains it "
                    + "anyway."
        )
        let plan = try confab("drain", "solo", "--dry-run", "--force", at: port)
        #expect(
            plan.output
                == "solo would keep 4096 shards (there is no other node) and close 1 client")
        let drained = try confab(
            "drain", "solo", "--yes", "--force", "--deadline", "0", at: port)
        #expect(drained.status == 0, "\(drained)")
        guard case .close(let code, _) = try alice.closeEvent() else {
            throw TestFailure("no close frame")
        }
        #expect(code == 1012)
        #expect(try server.health().status == 503)
        #expect(try confab("resume", "solo", "--yes", at: port).status == 0)
        let again = try server.connect("alice")
        try again.post("three")
    }

    @Test("list the node's events, also those before a restart", .long)
    func events() throws {
        let server = try ConfabServer(["--node-id", "solo"], store: .sqlite)
        let alice = try server.connect("alice")
        try alice.post("one")
        #expect(
            try confab("send", "lobby", "two", "--as", "ops", "--yes", at: server.adminPort).status
                == 0)
        try server.stop()
        let again = try ConfabServer(["--node-id", "solo"], store: .sqlite, in: server.folder)
        let events = try confab("events", "--output", "json", at: again.adminPort).rows("events")
        #expect(events.compactMap { $0["event"] } == ["starts", "send", "stops", "starts"])
        #expect(events.allSatisfy { $0["node"] == "solo" })
        #expect(events[1]["operator"] == "127.0.0.1")
        let sends = try confab(
            "events", "--type", "send", "--since", "1h", "--node", "solo", "--output", "csv",
            at: again.adminPort)
        #expect(sends.output.split(separator: "\n").count == 2, "\(sends.output)")
        #expect(
            try confab("events", "--node", "other", "--output", "json", at: again.adminPort).rows(
                "events"
            ).isEmpty)
    }

    @Test("report a missing node or admin token", .long)
    func refusals() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("let-me-in\n", to: "admin.token")
        let server = try ConfabServer(["--admin-token-file", file], in: folder)
        let refused = try confab("nodes", at: server.adminPort)
        #expect(
            refused.status == 1 && refused.errors == "confab: The admin API needs its bearer token."
        )
        #expect(
            try confab(
                "nodes", at: server.adminPort, environment: ["CONFAB_ADMIN_TOKEN_FILE": file]
            ).status == 0)
        let unreachable = try confab("nodes", at: freePort())
        #expect(
            unreachable.status == 3 && unreachable.errors.contains("Connection refused"),
            "\(unreachable)")
        // A GET, as from a browser, changes nothing.
        let path = "/api/cluster/drain"
        #expect(
            try HTTPReply.get(
                path, port: server.adminPort, fields: ["Authorization": "Bearer let-me-in"]
            ).status == 405)
        #expect(try HTTPReply.get("/api/cluster/nodes", port: server.port).status == 404)
    }

    @Test("show new messages in tail")
    func tail() throws {
        let server = try ConfabServer()
        let alice = try server.connect("alice")
        try alice.post("before")
        let tail = try ChildProcess(
            Checkout.confab,
            ["tail", "lobby", "--after", "0", "--admin", "http://127.0.0.1:\(server.adminPort)"])
        defer { tail.kill() }
        #expect(try tail.output.line(with: "before").hasPrefix("1  "))
        try alice.post("a \u{1B}[2J line\nand another")
        #expect(
            try tail.output.line(with: "another").hasSuffix(
                "alice: a \\u{1b}[2J line\\nand another"))
    }
}
