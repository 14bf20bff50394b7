import Foundation
import TestKit
import Testing

/// The store and number of nodes for the members of one conversation.
enum StoreDeployment: CaseIterable, CustomTestStringConvertible {
    case memory, sqlite, redis, sentinel, cluster

    var testDescription: String {
        switch self {
        case .memory: "a node with its messages in memory"
        case .sqlite: "a node with its messages in SQLite"
        case .redis: "two nodes on one Redis"
        case .sentinel: "two nodes on a Redis that sentinels watch"
        case .cluster: "two nodes on a Redis Cluster"
        }
    }
}

/// Nodes that accept anonymous users. Guests connect to the first node, readers to the last.
private final class AnonymousDeployment {
    static let root = "/api/conversations"

    /// Keeps the Redis servers alive.
    private let redis: Any?
    let servers: [ConfabServer]
    var guestServer: ConfabServer { self.servers[0] }
    var readerServer: ConfabServer { self.servers[self.servers.count - 1] }

    init(_ site: StoreDeployment = .memory, _ options: [String] = ["--anonymous", "on"]) throws {
        let url: String
        switch site {
        case .memory, .sqlite:
            self.redis = nil
            self.servers = [try ConfabServer(options, store: site == .sqlite ? .sqlite : .memory)]
            return
        case .redis:
            let server = try RedisServer()
            (self.redis, url) = (server, server.url)
        case .sentinel:
            let trio = try RedisSentinelServers(failureTimeout: .seconds(30))
            (self.redis, url) = (trio, trio.url)
        case .cluster:
            let servers = try RedisClusterServers()
            (self.redis, url) = (servers, servers.url())
        }
        self.servers = try (0..<2).map { _ in try ConfabServer(options + ["--store", url]) }
        for server in self.servers { try server.awaitShardBalance(of: 2) }
    }

    /// Creates an open conversation as a user with a token.
    func createConversation(by user: String) throws -> String {
        let reply = try HTTPReply.post(
            "\(Self.root)/create", #"{"title":"Tea"}"#, port: self.readerServer.port,
            fields: ["Authorization": "Bearer \(try ConfabServer.token(for: user))"])
        guard reply.status == 201, let id = try JSONObject(reply.body)["room_id"] else {
            throw TestFailure(reply.body)
        }
        return id
    }

    func post(_ path: String, _ body: String, token: String? = nil) throws -> HTTPReply {
        let fields = token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
        return try HTTPReply.post(
            Self.root + path, body, port: self.guestServer.port, fields: fields)
    }

    func get(_ path: String) throws -> HTTPReply {
        try HTTPReply.get(Self.root + path, port: self.guestServer.port)
    }
}

/// A connection for raw frames of any protocol.
private final class ProtocolConnection {
    private let socket: RawWebSocketClient
    private(set) var receivedFrames: [String] = []

    init(_ path: String, at server: ConfabServer) throws {
        self.socket = try RawWebSocketClient(path, port: server.port)
    }

    /// Connects with a token and joins a conversation.
    convenience init(
        _ speaker: ProtocolAdapter, _ user: String, in room: String, at server: ConfabServer
    ) throws {
        let token = try ConfabServer.token(for: user, conversations: [room])
        try self.init(speaker.path(room, token, nil), at: server)
        for (behind, text) in speaker.entryFrames(room) {
            if !behind.isEmpty { try self.awaitFrame(behind) }
            try self.send(text)
        }
        // After this answer, the connection is subscribed to the conversation.
        let mark = "are you inside?"
        try self.send(speaker.unknownRequest(mark))
        try self.awaitFrame(mark)
    }

    /// Connects as a guest with the Rooms protocol and joins a room.
    convenience init(
        guest user: String, named name: String, in room: String, at server: ConfabServer
    ) throws {
        try self.init("/socket.io/?EIO=4&transport=websocket", at: server)
        try self.awaitFrame("0{")
        try self.send("40")
        try self.awaitFrame("40{")
        try self.send(
            #"42["join_room",{"room_id":"\#(room)","user_id":"\#(user)","username":"\#(name)"}]"#)
    }

    func send(_ text: String) throws { try self.socket.send(text) }

    /// Waits for a frame that contains all of these texts.
    @discardableResult
    func awaitFrame(_ words: String...) throws -> String {
        let deadline = Deadline()
        while true {
            if let frame = self.receivedFrames.last(where: { frame in
                words.allSatisfy { frame.contains($0) }
            }) {
                return frame
            }
            switch try self.socket.next(within: deadline.remaining) {
            case .text(let text): self.receivedFrames.append(text)
            case .close(let code, let reason):
                self.receivedFrames.append("close \(code ?? 0) \(reason)")
            default: throw TestFailure("no frame with \(words), but \(self.receivedFrames)")
            }
        }
    }

    func dropConnection() { self.socket.dropConnection() }
}

@Suite("A guest")
struct GuestSystemTests {
    @Test(
        "never appears as the token user with the same id, in any protocol",
        arguments: StoreDeployment.allCases)
    func guestIdentityInEveryProtocol(_ place: StoreDeployment) throws {
        let site = try AnonymousDeployment(place)
        let room = try site.createConversation(by: "owner")
        let readers = try ProtocolAdapter.all.map {
            (
                speaker: $0,
                line: try ProtocolConnection(
                    $0, "reader-\($0.name)", in: room, at: site.readerServer)
            )
        }

        // Chats identifies guests by name.
        let alice = try ProtocolConnection("/ws/chats/?username=alice", at: site.guestServer)
        try alice.send(#"{"type":"joinChat","data":{"chat":"\#(room)"}}"#)
        try alice.awaitFrame("chatJoined", #""username":"guest:alice""#)
        try alice.send(#"{"type":"newMessage","data":{"chat":"\#(room)","text":"I am Alice"}}"#)
        for (speaker, line) in readers {
            let frame = try line.awaitFrame("I am Alice")
            let id =
                switch speaker.name {
                case "Rooms": #""user_id":"alice","username":"alice""#
                case "Chats": #""username":"guest:alice""#
                case "Agents": #""agent_id":"guest:alice""#
                default: #""sender_id":"guest:alice""#
                }
            #expect(frame.contains(id), "\(speaker.name): \(frame)")
            #expect(
                frame.contains(#""guest":true"#) == (speaker.name == "Rooms"),
                "\(speaker.name): \(frame)")
        }

        // Rooms identifies guests by `user_id`: a message, typing, joining and leaving.
        let bob = try ProtocolConnection(guest: "bob", named: "Bob", in: room, at: site.guestServer)
        #expect(
            try bob.awaitFrame("conversation_state").contains(
                #""user_id":"alice","username":"alice","online":true,"guest":true"#))
        try bob.send(#"42["send_message",{"room_id":"\#(room)","content":"I am Bob"}]"#)
        try bob.send(#"42["typing",{"room_id":"\#(room)","is_typing":true}]"#)
        for (speaker, line) in readers {
            let frame = try line.awaitFrame("I am Bob")
            switch speaker.name {
            case "Rooms":
                #expect(
                    frame.contains(#""user_id":"bob","username":"Bob""#)
                        && frame.contains(#""guest":true"#), "\(frame)")
                try line.awaitFrame("user_typing", #""user_id":"bob""#, #""guest":true"#)
                try line.awaitFrame("user_joined", #""user_id":"bob""#, #""guest":true"#)
            case "Conversations":
                #expect(frame.contains(#""sender_id":"guest:bob""#), "\(frame)")
                try line.awaitFrame(#""type":"typing","user_id":"guest:bob""#)
                try line.awaitFrame("user_status", #""user_id":"guest:bob","status":"online""#)
            case "Chats": #expect(frame.contains(#""username":"guest:Bob""#), "\(frame)")
            case "Agents": try line.awaitFrame(#""type":"status","agent_id":"guest:bob""#)
            default: #expect(frame.contains("guest:bob"), "\(frame)")
            }
        }
        // A read receipt.
        try alice.send(#"{"type":"markRead","data":{"chat":"\#(room)","last_read_message":2}}"#)
        try readers[0].line.awaitFrame(#""type":"read","user_id":"guest:alice""#)
        try readers[2].line.awaitFrame("messagesRead", #""username":"guest:alice""#)

        // Lists, REST and operator commands.
        let shown = try JSONObject(site.get("/\(room)").body)
        let participants = shown.object("conversation")?.objects("participants") ?? []
        #expect(
            participants.filter { $0.bool("guest") == true }.map { $0["user_id"] } == [
                "alice", "bob",
            ])
        #expect(shown.objects("messages")?.map { $0.bool("guest") } == [true, true])
        #expect(shown.object("conversation")?.bool("guest") == nil)
        let sent = try run(
            Checkout.confab,
            [
                "send", room, "by an operator", "--as", "guest:alice", "--yes", "--admin",
                "http://127.0.0.1:\(site.readerServer.adminPort)",
            ])
        #expect(sent.ending == .exited(0), "\(sent)")
        try readers[0].line.awaitFrame("by an operator", #""sender_id":"guest:alice""#)
        let history = try run(
            Checkout.confab,
            [
                "history", room, "--admin", "http://127.0.0.1:\(site.readerServer.adminPort)",
                "--output", "json",
            ])
        #expect(
            history.output.contains("guest:alice") && history.output.contains("guest:bob"),
            "\(history)")
        try readers[2].line.send(#"{"type":"getChatDetails","data":{"chatId":"\#(room)"}}"#)
        let details = try readers[2].line.awaitFrame("chatDetails")
        #expect(
            details.contains(#""username":"guest:alice""#)
                && details.contains(#""username":"guest:Bob""#), "\(details)")

        bob.dropConnection()
        try readers[0].line.awaitFrame("user_status", #""user_id":"guest:bob","status":"offline""#)
        try readers[3].line.awaitFrame("user_left", #""user_id":"bob""#, #""guest":true"#)
    }

    @Test(
        "cannot join a conversation with a member who has its id and a token",
        arguments: StoreDeployment.allCases)
    func idOfMember(_ place: StoreDeployment) throws {
        let site = try AnonymousDeployment(place)
        let room = try site.createConversation(by: "alice")
        let chats = try ProtocolConnection("/ws/chats/?username=alice", at: site.guestServer)
        try chats.send(#"{"type":"joinChat","data":{"chat":"\#(room)"}}"#)
        try chats.awaitFrame(#""message":"username: "#, #""request":"joinChat""#)
        try chats.send(#"{"type":"newMessage","data":{"chat":"\#(room)","text":"I am Alice"}}"#)
        try chats.awaitFrame("not a member")
        let rooms = try ProtocolConnection(
            guest: "alice", named: "Alice", in: room, at: site.guestServer)
        try rooms.awaitFrame(#""message":"user_id: "#, #""event":"join_room""#)
        let joined = try site.post("/\(room)/join", #"{"user_id":"alice","username":"Alice"}"#)
        #expect(joined.status == 409)
        #expect(try JSONObject(joined.body)["error"]?.hasPrefix("user_id: ") == true)
        // The guest can join with another id.
        #expect(
            try site.post("/\(room)/join", #"{"user_id":"alice2","username":"Alice"}"#).status
                == 200)
        let messages = try JSONObject(site.get("/\(room)").body).objects("messages")
        #expect(messages?.isEmpty == true)
    }

    @Test("is not the token user with its id as a creator, nor the other way round")
    func creatorIsGuest() throws {
        let site = try AnonymousDeployment()
        let made = try JSONObject(site.post("/create", #"{"title":"Tea","user_id":"alice"}"#).body)
        #expect(made.object("conversation")?["created_by"] == "alice")
        #expect(made.object("conversation")?.bool("guest") == true)
        let id = try #require(made["room_id"])
        #expect(
            try site.post("/\(id)/end", "{}", token: ConfabServer.token(for: "alice")).status == 403
        )
        let room = try site.createConversation(by: "alice")
        #expect(try site.post("/\(room)/end", #"{"user_id":"alice"}"#).status == 403)
        #expect(
            try site.post("/\(room)/end", "{}", token: ConfabServer.token(for: "alice")).status
                == 200)
    }

    @Test("gets a token by joining, and is the same guest with it everywhere")
    func guestToken() throws {
        let site = try AnonymousDeployment()
        let room = try site.createConversation(by: "owner")
        let joined = try site.post("/\(room)/join", #"{"user_id":"user456","username":"John Doe"}"#)
        let token = try #require(JSONObject(joined.body)["token"])
        #expect(try JSONObject(joined.body).object("participant")?.bool("guest") == true)
        let reader = try ProtocolConnection(
            .conversations, "reader", in: room, at: site.readerServer)
        let conversations = try ProtocolConnection(
            "/conversations/\(room)/?token=\(token)", at: site.guestServer)
        try conversations.send(#"{"action":"send_message","content":"by Conversations"}"#)
        try reader.awaitFrame("by Conversations", #""sender_id":"guest:user456""#)
        let agents = try ProtocolConnection(
            "/v1/ws?channel_id=\(room)&token=\(token)", at: site.guestServer)
        try agents.send(#"{"type":"message","content":"by Agents"}"#)
        try reader.awaitFrame("by Agents", #""sender_id":"guest:user456""#)
        let chats = try ProtocolConnection("/ws/chats/?token=\(token)", at: site.guestServer)
        try chats.send(#"{"type":"newMessage","data":{"chat":"\#(room)","text":"by Chats"}}"#)
        try chats.awaitFrame("by Chats", #""username":"guest:John Doe""#)
        let pets = try ProtocolConnection("/ws/?token=\(token)", at: site.guestServer)
        try pets.send(
            #"{"event":"message","data":{"conversation_id":"\#(room)","content":"by Pets"}}"#)
        try reader.awaitFrame("by Pets", #""sender_id":"guest:user456""#)
        let rooms = try ProtocolConnection(
            "/socket.io/?EIO=4&transport=websocket", at: site.guestServer)
        try rooms.awaitFrame("0{")
        try rooms.send(#"40{"token":"\#(token)"}"#)
        try rooms.awaitFrame("40{")
        try rooms.send(#"42["join_room",{"room_id":"\#(room)","user_id":"user456"}]"#)
        try rooms.awaitFrame("conversation_state")
        try rooms.send(#"420["send_message",{"room_id":"\#(room)","content":"by Rooms"}]"#)
        try rooms.awaitFrame(#"430[{"ok":true"#)
        try reader.awaitFrame("by Rooms", #""sender_id":"guest:user456""#)

        // The token is valid only for this conversation and grants no admin rights.
        let other = try ProtocolConnection(
            "/conversations/elsewhere/?token=\(token)", at: site.guestServer)
        try other.awaitFrame("close 4004")
        #expect(try site.post("/\(room)/end", "{}", token: token).status == 403)
        // A server without anonymous access rejects the token.
        let closed = try ConfabServer(["--anonymous", "off"])
        let refused = try ProtocolConnection("/conversations/\(room)/?token=\(token)", at: closed)
        try refused.awaitFrame("close 4003")
    }

    @Test(
        "cannot be the subject of an ordinary token",
        arguments: [#"{"sub":"guest:alice"}"#, #"{"sub":"eve","agent_id":"guest:alice"}"#])
    func guestPrefixIsReserved(_ claims: String) throws {
        let site = try AnonymousDeployment()
        let token = try Self.signed(claims)
        for (path, words) in [
            ("/conversations/1/?token=\(token)", "close 4003"),
            ("/ws/?token=\(token)", "close 4401"),
            ("/ws/chats/?token=\(token)", "close 4401"),
        ] {
            let line = try ProtocolConnection(path, at: site.guestServer)
            try line.awaitFrame(words)
        }
        #expect(
            try RawWebSocketClient.refusal(of: "/v1/ws?token=\(token)", port: site.guestServer.port)
                .status == 401)
        #expect(
            try HTTPReply.get(
                "\(AnonymousDeployment.root)?token=\(token)", port: site.guestServer.port
            ).status == 401)
        let rooms = try ProtocolConnection(
            "/socket.io/?EIO=4&transport=websocket", at: site.guestServer)
        try rooms.awaitFrame("0{")
        try rooms.send(#"40{"token":"\#(token)"}"#)
        try rooms.awaitFrame("44{")
    }

    /// A token with these claims, signed by OpenSSL, because Confab refuses to sign them.
    private static func signed(_ claims: String) throws -> String {
        let script = """
            b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
            text=$(printf '{"alg":"HS256"}' | b64).$(printf %s "$0" | b64)
            printf '%s.%s' "$text" "$(printf %s "$text" | openssl dgst -sha256 -hmac "$1" -binary | b64)"
            """
        return try run("/bin/sh", ["-c", script, claims, ConfabServer.secret]).output
    }

    // MARK: Listeners that others reach

    @Test("is rejected by default on a listener that other machines reach")
    func closedByDefault() throws {
        let site = try AnonymousDeployment(.memory, ["--listen", "0.0.0.0:0"])
        #expect(try site.get("").status == 401)
        let pets = try ProtocolConnection("/ws/", at: site.guestServer)
        try pets.awaitFrame("close 4401")
        for (option, says) in [("off", false), ("on", true)] {
            let check = try run(
                Checkout.confab,
                ["config", "check", "--listen", "0.0.0.0:0", "--anonymous", option],
                folder: site.guestServer.folder.path)
            #expect(
                check.ending == .exited(0) && check.errors.contains("without a token") == says,
                "\(check)")
        }
        let home = try AnonymousDeployment(.memory, [])
        #expect(try home.get("").status == 200)
    }

    @Test("has restricted rights on such a listener, and the log lists them")
    func openToOthers() throws {
        let site = try AnonymousDeployment(.memory, ["--listen", "0.0.0.0:0", "--anonymous", "on"])
        let warning = try site.guestServer.process.errors.line(
            with: "anonymous connections are allowed")
        for ability in ["list", "read", "join", "create", "send"] {
            #expect(warning.contains(ability), "\(warning)")
        }
        #expect(warning.contains("0.0.0.0"), "\(warning)")

        let pets = try ProtocolConnection("/ws/", at: site.guestServer)
        try pets.send(#"{"event":"broadcast","data":{"content":"We close at noon."}}"#)
        try pets.awaitFrame("error", #""event":"broadcast""#)
        let admin = try ProtocolConnection(
            "/ws/?token=\(ConfabServer.token(for: "root", isAdmin: true))", at: site.guestServer)
        try admin.send(#"{"event":"broadcast","data":{"content":"We close at noon."}}"#)
        try pets.awaitFrame("We close at noon.")

        // Naming the creator, or joining with its id, does not grant the creator's rights.
        let made = try JSONObject(
            site.post("/create", #"{"title":"Tea","user_id":"user123"}"#).body)
        let id = try #require(made["room_id"])
        #expect(try site.post("/\(id)/end", #"{"user_id":"user123"}"#).status == 403)
        let joined = try JSONObject(
            site.post("/\(id)/join", #"{"user_id":"user123","username":"Eve"}"#).body)
        #expect(try site.post("/\(id)/end", "{}", token: joined["token"]).status == 403)
        let token = try #require(made["token"])
        // A new token has the same rights.
        let again = try JSONObject(site.post("/\(id)/join", "{}", token: token).body)
        #expect(try site.post("/\(id)/end", "{}", token: again["token"]).status == 200)
        let other = try JSONObject(site.post("/create", #"{"title":"Tea"}"#).body)
        #expect(try site.post("/\(other["room_id"] ?? "")/end", "{}", token: token).status == 403)
        #expect(
            try site.post("/\(other["room_id"] ?? "")/end", "{}", token: other["token"]).status
                == 200)
    }
}
