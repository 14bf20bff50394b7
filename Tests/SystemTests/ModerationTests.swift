import Foundation
import TestKit
import TestTraits
import Testing

/// Two nodes with one Redis, and clients of all protocols.
@Suite("Moderation by operators", .programs, .serialized, .ownThread)
struct ModerationTests {
    private let redis: RedisServer
    private let servers: [ConfabServer]

    init() throws {
        let redis = try RedisServer()
        self.redis = redis
        self.servers = try ["n1", "n2"].map { try Self.server($0, redis) }
        try self.servers[0].awaitShardBalance(of: 2)
    }

    private static func server(_ name: String, _ redis: RedisServer) throws -> ConfabServer {
        try ConfabServer(["--store", redis.url, "--node-id", name])
    }

    /// Executes a command at a node and expects that it succeeds.
    @discardableResult
    private func moderate(_ arguments: String..., at node: Int = 0) throws -> CommandResult {
        var result = try confab(arguments + ["--yes"], at: self.servers[node].adminPort)
        // A busy node may answer too late. Only a ban may be repeated: it ends nothing twice.
        for _ in 0..<5 where result.status == 3 && arguments.first == "ban" {
            result = try confab(arguments + ["--yes"], at: self.servers[node].adminPort)
        }
        guard result.status == 0 else {
            throw TestFailure("\(arguments): \(result.output)\(result.errors)")
        }
        return result
    }

    /// The frames until the close, the code and the reason.
    private static func end(_ socket: RawWebSocketClient) throws -> (String, UInt16?, String) {
        var frames = ""
        while true {
            switch try socket.next() {
            case .text(let text): frames += text + "\n"
            case .close(let code, let reason): return (frames, code, reason)
            case .end: return (frames, nil, "")
            default: continue
            }
        }
    }

    /// How the adapter's protocol refuses a banned user that connects.
    private static func refusal(
        _ adapter: ProtocolAdapter, _ user: String, at server: ConfabServer
    ) throws -> String {
        let token = try ConfabServer.token(for: user)
        let path = adapter.path("lobby", token, nil)
        let socket = try RawWebSocketClient(path, port: server.port)
        if adapter.name == "Rooms" {
            try socket.send("40")
            while true {
                guard case .text(let text) = try socket.next() else { return "no frame" }
                if text.hasPrefix("44") { return text }
            }
        }
        let (frames, code, reason) = try Self.end(socket)
        return "\(frames)\(code ?? 0) \(reason)"
    }

    @Test(
        "closes a banned user's sockets on both nodes, refuses new ones, and ends with the ban",
        arguments: TestRun.isLong ? ProtocolAdapter.all : [.conversations])
    func ban(_ adapter: ProtocolAdapter) throws {
        let sockets = try self.servers.map {
            try ProtocolConnection(adapter, "ann", in: "lobby", at: $0)
        }
        let bob = try ProtocolConnection(adapter, "bob", in: "lobby", at: self.servers[1])
        let result = try self.moderate("ban", "--user", "ann", "--reason", "Spam.")
        #expect(
            result.output
                == "banned ann from tenant default; 2 connections closed: n1 1, n2 1")
        for socket in sockets {
            let code = adapter.name == "Conversations" ? 4004 : 4403
            try socket.awaitFrame("close \(code) You are banned. Spam.")
            #expect(socket.receivedFrames.contains { $0.contains("You are banned. Spam.") })
        }
        for server in self.servers {
            let refusal = try Self.refusal(adapter, "ann", at: server)
            #expect(refusal.contains("You are banned. Spam."), "\(refusal)")
            let reply = try RESTClient("ann", at: server).request("GET", "")
            #expect(reply.status == 403 && reply.body.contains("You are banned. Spam."))
        }
        let agentPath = "/v1/ws/tenant/default/agent/ann/channel/lobby"
        let agent = try RawWebSocketClient.refusal(
            of: "\(agentPath)?token=\(ConfabServer.token(for: "ann", conversations: []))",
            port: self.servers[1].port)
        #expect(agent.status == 403 && agent.body.contains("You are banned. Spam."))
        try bob.send(adapter.messageFrame("lobby", "still here"))
        // Agents acknowledges a message and does not return it.
        try bob.awaitFrame(adapter.name == "Agents" ? "ACK" : "still here")

        try self.moderate("unban", "--user", "ann", at: 1)
        let back = try ProtocolConnection(adapter, "ann", in: "lobby", at: self.servers[0])
        try back.send(adapter.messageFrame("lobby", "back"))
        try bob.awaitFrame("back")
        let again = try confab("unban", "--user", "ann", "--yes", at: self.servers[0].adminPort)
        #expect(again.status == 1)
        #expect(again.errors.contains("There is no ban of ann from tenant default."))
    }

    @Test(
        "keeps a user out of one conversation, with every protocol and REST",
        arguments: TestRun.isLong ? [0, 1] : [0])
    func oneConversation(node: Int) throws {
        let outside = try self.servers[1].connect("ann", to: "garden")
        try outside.synchronize()
        let inside = try ProtocolAdapter.all.map {
            ($0, try ProtocolConnection($0, "ann", in: "lobby", at: self.servers[1 - node]))
        }
        let unknown = try confab(
            "ban", "--user", "ann", "--conversation", "nowhere", "--yes",
            at: self.servers[node].adminPort)
        #expect(unknown.status == 1 && unknown.errors.contains("There is no conversation nowhere"))
        try self.moderate("ban", "--user", "ann", "--conversation", "lobby", at: node)
        let notice = "You are banned from conversation lobby."
        for (adapter, socket) in inside {
            let close = try socket.awaitFrame("close ", notice)
            #expect(close.hasPrefix("close 4"), "\(adapter.name): \(close)")
        }
        try outside.post("still here")
        let rest = try RESTClient("ann", at: self.servers[0])
        #expect(try rest.request("GET", "/lobby").status == 403)
        let send = try rest.send("hi", to: "lobby")
        #expect(send.status == 403 && send.body.contains(notice))
        #expect(try rest.send("hi", to: "garden").status == 201)
        // Protocols with one connection for all conversations say it when the user enters.
        for adapter in ProtocolAdapter.all where ["Pets", "Chats", "Rooms"].contains(adapter.name) {
            let socket = try ProtocolConnection(
                adapter.path("lobby", ConfabServer.token(for: "ann"), nil), at: self.servers[0])
            for (behind, text) in adapter.entryFrames("lobby") {
                if !behind.isEmpty { try socket.awaitFrame(behind) }
                try socket.send(text)
            }
            try socket.awaitFrame(notice)
        }
        let listed = try confab("bans", "--output", "json", at: self.servers[node].adminPort)
        #expect(try listed.rows("bans").map { $0["conversation"] } == ["lobby"])
        let events = try confab("events", "--output", "json", at: self.servers[node].adminPort)
        let action = try events.rows("events").last { $0["event"] == "ban" }
        #expect(action?["operator"] == "127.0.0.1")
        #expect(action?["detail"] == "ann from lobby of tenant default")
        try self.moderate("unban", "--user", "ann", "--conversation", "lobby", at: node)
        try self.servers[0].connect("ann").post("back")
    }

    @Test("bans survive a restart, and the death of the node that was asked", .long)
    func restart() throws {
        let ann = try self.servers[1].connect("ann")
        try ann.synchronize()
        try self.moderate("ban", "--user", "ann")
        try self.servers[0].crash()
        #expect(try Self.end(ann.socket).1 == 4004)
        #expect(try Self.end(self.servers[1].connect("ann").socket).1 == 4004)
        try self.servers[1].crash()
        let third = try Self.server("n3", self.redis)
        #expect(try Self.end(third.connect("ann").socket).2 == "You are banned.")
    }

    @Test("bans survive a restart of a node with SQLite", .long)
    func sqlite() throws {
        let first = try ConfabServer(store: .sqlite)
        let plan = try confab("ban", "--user", "ann", "--dry-run", at: first.adminPort)
        #expect(plan.output == "would ban ann from tenant default")
        let long = try confab(
            "ban", "--user", "ann", "--reason", String(repeating: "é", count: 201), "--yes",
            at: first.adminPort)
        #expect(long.status == 1)
        #expect(long.errors.contains(#""reason": must have at most 200 characters."#))
        let result = try confab(
            "ban", "--user", "ann", "--for", "1h", "--yes", at: first.adminPort)
        #expect(result.status == 0, "\(result)")
        try first.crash()
        let second = try ConfabServer(store: .sqlite, in: first.folder)
        let (_, code, reason) = try Self.end(second.connect("ann").socket)
        #expect(code == 4004 && reason.hasPrefix("You are banned until 20"))
    }

    @Test("a pinned message that has left the history is deleted")
    func pinnedMessage() throws {
        let server = try ConfabServer(["--history", "2"])
        let ann = try server.connect("ann")
        _ = try ann.post("a password")
        try ann.socket.send(#"{"action":"pin","message_id":"1"}"#)
        _ = try ann.next("pinned")
        for number in 2...4 { _ = try ann.post("\(number)") }
        let result = try confab("delete", "lobby", "1", "--yes", at: server.adminPort)
        #expect(result.status == 0, "\(result)")
        #expect(try ann.next("message.deleted").object("message")?["id"] == "1")
        let missing = try confab("delete", "lobby", "1", "--yes", at: server.adminPort)
        #expect(missing.errors.contains("There is no message 1"))
    }

    @Test("a node that missed the announcement enforces the ban when a node has died", .long)
    func missedAnnouncement() throws {
        let ann = try self.servers[1].connect("ann")
        try ann.synchronize()
        // As a node that dies between storing and announcing.
        _ = try self.redis.execute("HSET", "confab:{c}:bans", "default:ann", "0 1 3 opsSpam.")
        try self.servers[0].crash()
        #expect(try Self.end(ann.socket).2 == "You are banned. Spam.")
    }

    @Test("bans end by themselves", .long)
    func expiry() throws {
        let ann = try self.servers[1].connect("ann")
        try ann.synchronize()
        try self.moderate("ban", "--user", "ann", "--for", "3s")
        let (_, code, reason) = try Self.end(ann.socket)
        #expect(code == 4004 && reason.hasPrefix("You are banned until 20"), "\(reason)")
        _ = try Deadline.wait(for: "the end of the ban") {
            let client = try self.servers[1].connect("ann")
            return try? client.post("back")
        }
        let listed = try confab("bans", "--output", "json", at: self.servers[0].adminPort)
        #expect(try listed.rows("bans").isEmpty)
    }

    @Test("two nodes ban different users at once, and both bans apply everywhere", .long)
    func concurrentBans() throws {
        let users = (0..<6).map { "user \($0)" }
        let clients = try users.map { try self.servers[0].connect($0) }
        for client in clients { try client.synchronize() }
        let bans = try self.servers.enumerated().flatMap { index, server in
            try users.indices.filter { $0 % 2 == index }.map { number in
                let command = try ChildProcess(
                    Checkout.confab, ["ban", "--user", users[number], "--yes"],
                    environment: ["CONFAB_ADMIN_URL": "http://127.0.0.1:\(server.adminPort)"])
                return (user: users[number], command: command)
            }
        }
        for ban in bans {
            let status = try ban.command.waitForExit()
            guard status == .exited(3) else {
                #expect(status == .exited(0))
                continue
            }
            // Stored, but a busy node has not confirmed it in time.
            try self.moderate("ban", "--user", ban.user)
        }
        for client in clients { #expect(try Self.end(client.socket).2 == "You are banned.") }
        for server in self.servers {
            for user in users {
                #expect(try Self.end(server.connect(user).socket).2 == "You are banned.")
            }
        }
    }

    @Test("without Redis a ban fails with a clear error, and nothing of it is done", .long)
    func missingRedis() throws {
        let ann = try self.servers[0].connect("ann")
        try ann.synchronize()
        try self.redis.crash()
        let failed = try confab("ban", "--user", "ann", "--yes", at: self.servers[0].adminPort)
        #expect(failed.status == 3)
        #expect(failed.errors.contains("The ban is not stored"), "\(failed.errors)")
        try ann.synchronize()
        try self.redis.restart()
        _ = try Deadline.wait(for: "the list of bans") {
            let listed = try confab("bans", "--output", "json", at: self.servers[1].adminPort)
            return listed.status == 0 ? try listed.rows("bans").isEmpty : nil
        }
        _ = try Deadline.wait(for: "a ban after the outage") {
            try confab("ban", "--user", "ann", "--yes", at: self.servers[1].adminPort).status == 0
                ? true : nil
        }
        #expect(try Self.end(ann.socket).2 == "You are banned.")
    }

    @Test("disconnects the connection that the log names, and no other", .long)
    func disconnectOne() throws {
        let server = try ConfabServer(["--node-id", "n1", "--log-level", "debug"])
        let ann = try server.connect("ann")
        try ann.synchronize()
        let line = try server.process.errors.line(with: "connection opened")
        let id = try #require(line.firstMatch(of: /connection=([0-9.]+)/)).1
        let bob = try server.connect("bob")
        try bob.synchronize()
        let result = try confab(
            "disconnect", "--connection", "n1/\(id)", "--yes", at: server.adminPort)
        #expect(result.output == "disconnected n1/\(id); 1 connection closed: n1 1")
        #expect(try Self.end(ann.socket).1 == 1012)
        try bob.post("still here")
    }
}
