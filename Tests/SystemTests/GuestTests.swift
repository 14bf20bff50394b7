import Foundation
import TestKit
import Testing

/// Where the members of one conversation are connected.
enum GuestSite: CaseIterable, CustomTestStringConvertible {
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

/// Nodes that anonymous users reach: at the first are the guests, at the last are the readers.
private final class OpenSite {
    static let root = "/api/conversations"

    /// The servers of Redis, which live as long as this.
    private let redis: Any?
    let servers: [ConfabServer]
    var guests: ConfabServer { self.servers[0] }
    var readers: ConfabServer { self.servers[self.servers.count - 1] }

    init(_ site: GuestSite = .memory, _ options: [String] = ["--anonymous", "on"]) throws {
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
            let trio = try SentinelTrio(silence: .seconds(30))
            (self.redis, url) = (trio, trio.url)
        case .cluster:
            let servers = try RedisClusterServers()
            (self.redis, url) = (servers, servers.url())
        }
        self.servers = try (0..<2).map { _ in try ConfabServer(options + ["--store", url]) }
        for server in self.servers { try server.awaitBalance(of: 2) }
    }

    /// An open conversation that this user of a token has made.
    func make(by user: String) throws -> String {
        let reply = try HTTPReply.post(
            "\(Self.root)/create", #"{"title":"Tea"}"#, port: self.readers.port,
            fields: ["Authorization": "Bearer \(try ConfabServer.token(for: user))"])
        guard reply.status == 201, let id = try JSONObject(reply.body)["room_id"] else { throw TestFailure(reply.body) }
        return id
    }

    func post(_ path: String, _ body: String, token: String? = nil) throws -> HTTPReply {
        let fields = token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
        return try HTTPReply.post(Self.root + path, body, port: self.guests.port, fields: fields)
    }

    func get(_ path: String) throws -> HTTPReply { try HTTPReply.get(Self.root + path, port: self.guests.port) }
}

/// A connection that a test speaks a protocol's own frames with.
private final class Line {
    private let socket: WebSocketClient
    private(set) var heard: [String] = []

    init(_ path: String, at server: ConfabServer) throws {
        self.socket = try WebSocketClient(path, port: server.port)
    }

    /// Somebody with a token, in a conversation.
    convenience init(_ speaker: Speaker, _ user: String, in room: String, at server: ConfabServer) throws {
        let token = try ConfabServer.token(for: user, conversations: [room])
        try self.init(speaker.path(room, token, nil), at: server)
        for (behind, text) in speaker.enter(room) {
            if !behind.isEmpty { try self.hear(behind) }
            try self.send(text)
        }
        // Inside: what others say from here on comes.
        let mark = "are you inside?"
        try self.send(speaker.ask(mark))
        try self.hear(mark)
    }

    /// A guest of Rooms, in a room.
    convenience init(guest user: String, named name: String, in room: String, at server: ConfabServer) throws {
        try self.init("/socket.io/?EIO=4&transport=websocket", at: server)
        try self.hear("0{")
        try self.send("40")
        try self.hear("40{")
        try self.send(#"42["join_room",{"room_id":"\#(room)","user_id":"\#(user)","username":"\#(name)"}]"#)
    }

    func send(_ text: String) throws { try self.socket.send(text) }

    /// Waits for a frame with all of these words.
    @discardableResult
    func hear(_ words: String...) throws -> String {
        let deadline = Deadline()
        while true {
            if let frame = self.heard.last(where: { frame in words.allSatisfy { frame.contains($0) } }) { return frame }
            switch try self.socket.next(within: deadline.rest) {
            case .text(let text): self.heard.append(text)
            case .close(let code, let reason): self.heard.append("close \(code ?? 0) \(reason)")
            default: throw TestFailure("no frame with \(words), but \(self.heard)")
            }
        }
    }

    func drop() { self.socket.drop() }
}

@Suite("A guest")
struct GuestTests {
    @Test("is never shown as the token user of the same id, in any protocol", arguments: GuestSite.allCases)
    func shown(_ place: GuestSite) throws {
        let site = try OpenSite(place)
        let room = try site.make(by: "owner")
        let readers = try Speaker.all.map { (speaker: $0, line: try Line($0, "reader-\($0.name)", in: room, at: site.readers)) }

        // In Chats, by its name.
        let alice = try Line("/ws/chats/?username=alice", at: site.guests)
        try alice.send(#"{"type":"joinChat","data":{"chat":"\#(room)"}}"#)
        try alice.hear("chatJoined", #""username":"guest:alice""#)
        try alice.send(#"{"type":"newMessage","data":{"chat":"\#(room)","text":"I am Alice"}}"#)
        for (speaker, line) in readers {
            let frame = try line.hear("I am Alice")
            let id =
                switch speaker.name {
                case "Rooms": #""user_id":"alice","username":"alice""#
                case "Chats": #""username":"guest:alice""#
                case "Agents": #""agent_id":"guest:alice""#
                default: #""sender_id":"guest:alice""#
                }
            #expect(frame.contains(id), "\(speaker.name): \(frame)")
            #expect(frame.contains(#""guest":true"#) == (speaker.name == "Rooms"), "\(speaker.name): \(frame)")
        }

        // In Rooms, by `user_id`: a message, typing, coming and going.
        let bob = try Line(guest: "bob", named: "Bob", in: room, at: site.guests)
        #expect(try bob.hear("conversation_state").contains(#""user_id":"alice","username":"alice","online":true,"guest":true"#))
        try bob.send(#"42["send_message",{"room_id":"\#(room)","content":"I am Bob"}]"#)
        try bob.send(#"42["typing",{"room_id":"\#(room)","is_typing":true}]"#)
        for (speaker, line) in readers {
            let frame = try line.hear("I am Bob")
            switch speaker.name {
            case "Rooms":
                #expect(frame.contains(#""user_id":"bob","username":"Bob""#) && frame.contains(#""guest":true"#), "\(frame)")
                try line.hear("user_typing", #""user_id":"bob""#, #""guest":true"#)
                try line.hear("user_joined", #""user_id":"bob""#, #""guest":true"#)
            case "Conversations":
                #expect(frame.contains(#""sender_id":"guest:bob""#), "\(frame)")
                try line.hear(#""type":"typing","user_id":"guest:bob""#)
                try line.hear("user_status", #""user_id":"guest:bob","status":"online""#)
            case "Chats": #expect(frame.contains(#""username":"guest:Bob""#), "\(frame)")
            case "Agents": try line.hear(#""type":"status","agent_id":"guest:bob""#)
            default: #expect(frame.contains("guest:bob"), "\(frame)")
            }
        }
        // A receipt.
        try alice.send(#"{"type":"markRead","data":{"chat":"\#(room)","last_read_message":2}}"#)
        try readers[0].line.hear(#""type":"read","user_id":"guest:alice""#)
        try readers[2].line.hear("messagesRead", #""username":"guest:alice""#)

        // Lists, REST and operators.
        let shown = try JSONObject(site.get("/\(room)").body)
        let participants = shown.object("conversation")?.objects("participants") ?? []
        #expect(participants.filter { $0.bool("guest") == true }.map { $0["user_id"] } == ["alice", "bob"])
        #expect(shown.objects("messages")?.map { $0.bool("guest") } == [true, true])
        #expect(shown.object("conversation")?.bool("guest") == nil)
        let sent = try run(
            Checkout.confab,
            [
                "send", room, "by an operator", "--as", "guest:alice", "--yes", "--admin", "http://127.0.0.1:\(site.readers.adminPort)",
            ])
        #expect(sent.ending == .exited(0), "\(sent)")
        try readers[0].line.hear("by an operator", #""sender_id":"guest:alice""#)
        let history = try run(
            Checkout.confab, ["history", room, "--admin", "http://127.0.0.1:\(site.readers.adminPort)", "--output", "json"])
        #expect(history.output.contains("guest:alice") && history.output.contains("guest:bob"), "\(history)")
        try readers[2].line.send(#"{"type":"getChatDetails","data":{"chatId":"\#(room)"}}"#)
        let details = try readers[2].line.hear("chatDetails")
        #expect(details.contains(#""username":"guest:alice""#) && details.contains(#""username":"guest:Bob""#), "\(details)")

        bob.drop()
        try readers[0].line.hear("user_status", #""user_id":"guest:bob","status":"offline""#)
        try readers[3].line.hear("user_left", #""user_id":"bob""#, #""guest":true"#)
    }

    @Test("does not get into a conversation in which a token's user of its id is a member", arguments: GuestSite.allCases)
    func taken(_ place: GuestSite) throws {
        let site = try OpenSite(place)
        let room = try site.make(by: "alice")
        let chats = try Line("/ws/chats/?username=alice", at: site.guests)
        try chats.send(#"{"type":"joinChat","data":{"chat":"\#(room)"}}"#)
        try chats.hear(#""message":"username: "#, #""request":"joinChat""#)
        try chats.send(#"{"type":"newMessage","data":{"chat":"\#(room)","text":"I am Alice"}}"#)
        try chats.hear("not a member")
        let rooms = try Line(guest: "alice", named: "Alice", in: room, at: site.guests)
        try rooms.hear(#""message":"user_id: "#, #""event":"join_room""#)
        let joined = try site.post("/\(room)/join", #"{"user_id":"alice","username":"Alice"}"#)
        #expect(joined.status == 409)
        #expect(try JSONObject(joined.body)["error"]?.hasPrefix("user_id: ") == true)
        // By another id it does.
        #expect(try site.post("/\(room)/join", #"{"user_id":"alice2","username":"Alice"}"#).status == 200)
        let messages = try JSONObject(site.get("/\(room)").body).objects("messages")
        #expect(messages?.isEmpty == true)
    }

    @Test("who has made a conversation is no token's user of that id, and the other way round")
    func createdBy() throws {
        let site = try OpenSite()
        let made = try JSONObject(site.post("/create", #"{"title":"Tea","user_id":"alice"}"#).body)
        #expect(made.object("conversation")?["created_by"] == "alice")
        #expect(made.object("conversation")?.bool("guest") == true)
        let id = try #require(made["room_id"])
        #expect(try site.post("/\(id)/end", "{}", token: ConfabServer.token(for: "alice")).status == 403)
        let room = try site.make(by: "alice")
        #expect(try site.post("/\(room)/end", #"{"user_id":"alice"}"#).status == 403)
        #expect(try site.post("/\(room)/end", "{}", token: ConfabServer.token(for: "alice")).status == 200)
    }

    @Test("gets a token of its own by joining, and is the same guest with it, everywhere")
    func guestToken() throws {
        let site = try OpenSite()
        let room = try site.make(by: "owner")
        let joined = try site.post("/\(room)/join", #"{"user_id":"user456","username":"John Doe"}"#)
        let token = try #require(JSONObject(joined.body)["token"])
        #expect(try JSONObject(joined.body).object("participant")?.bool("guest") == true)
        let reader = try Line(.conversations, "reader", in: room, at: site.readers)
        let conversations = try Line("/conversations/\(room)/?token=\(token)", at: site.guests)
        try conversations.send(#"{"action":"send_message","content":"by Conversations"}"#)
        try reader.hear("by Conversations", #""sender_id":"guest:user456""#)
        let agents = try Line("/v1/ws?channel_id=\(room)&token=\(token)", at: site.guests)
        try agents.send(#"{"type":"message","content":"by Agents"}"#)
        try reader.hear("by Agents", #""sender_id":"guest:user456""#)
        let chats = try Line("/ws/chats/?token=\(token)", at: site.guests)
        try chats.send(#"{"type":"newMessage","data":{"chat":"\#(room)","text":"by Chats"}}"#)
        try chats.hear("by Chats", #""username":"guest:John Doe""#)
        let pets = try Line("/ws/?token=\(token)", at: site.guests)
        try pets.send(#"{"event":"message","data":{"conversation_id":"\#(room)","content":"by Pets"}}"#)
        try reader.hear("by Pets", #""sender_id":"guest:user456""#)
        let rooms = try Line("/socket.io/?EIO=4&transport=websocket", at: site.guests)
        try rooms.hear("0{")
        try rooms.send(#"40{"token":"\#(token)"}"#)
        try rooms.hear("40{")
        try rooms.send(#"42["join_room",{"room_id":"\#(room)","user_id":"user456"}]"#)
        try rooms.hear("conversation_state")
        try rooms.send(#"420["send_message",{"room_id":"\#(room)","content":"by Rooms"}]"#)
        try rooms.hear(#"430[{"ok":true"#)
        try reader.hear("by Rooms", #""sender_id":"guest:user456""#)

        // It is good for this conversation, and for nothing that is an admin's.
        let other = try Line("/conversations/elsewhere/?token=\(token)", at: site.guests)
        try other.hear("close 4004")
        #expect(try site.post("/\(room)/end", "{}", token: token).status == 403)
        // Where strangers may not come in, it is none.
        let closed = try ConfabServer(["--anonymous", "off"])
        let refused = try Line("/conversations/\(room)/?token=\(token)", at: closed)
        try refused.hear("close 4003")
    }

    @Test("is nobody whom a token names", arguments: [#"{"sub":"guest:alice"}"#, #"{"sub":"eve","agent_id":"guest:alice"}"#])
    func reserved(_ claims: String) throws {
        let site = try OpenSite()
        let token = try Self.signed(claims)
        for (path, words) in [
            ("/conversations/1/?token=\(token)", "close 4003"), ("/ws/?token=\(token)", "close 4401"),
            ("/ws/chats/?token=\(token)", "close 4401"),
        ] {
            let line = try Line(path, at: site.guests)
            try line.hear(words)
        }
        #expect(try WebSocketClient.refusal(of: "/v1/ws?token=\(token)", port: site.guests.port).status == 401)
        #expect(try HTTPReply.get("\(OpenSite.root)?token=\(token)", port: site.guests.port).status == 401)
        let rooms = try Line("/socket.io/?EIO=4&transport=websocket", at: site.guests)
        try rooms.hear("0{")
        try rooms.send(#"40{"token":"\#(token)"}"#)
        try rooms.hear("44{")
    }

    /// A token with these claims, signed by OpenSSL's own program: Confab's signs no such thing.
    private static func signed(_ claims: String) throws -> String {
        let script = """
            b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
            text=$(printf '{"alg":"HS256"}' | b64).$(printf %s "$0" | b64)
            printf '%s.%s' "$text" "$(printf %s "$text" | openssl dgst -sha256 -hmac "$1" -binary | b64)"
            """
        return try run("/bin/sh", ["-c", script, claims, ConfabServer.secret]).output
    }

    // MARK: Listeners that others reach

    @Test("does not come in where others than this machine reach the listener, unless told so")
    func closedByDefault() throws {
        let site = try OpenSite(.memory, ["--listen", "0.0.0.0:0"])
        #expect(try site.get("").status == 401)
        let pets = try Line("/ws/", at: site.guests)
        try pets.hear("close 4401")
        for (option, says) in [("off", false), ("on", true)] {
            let check = try run(
                Checkout.confab, ["config", "check", "--listen", "0.0.0.0:0", "--anonymous", option], folder: site.guests.folder.path)
            #expect(check.ending == .exited(0) && check.errors.contains("without a token") == says, "\(check)")
        }
        let home = try OpenSite(.memory, [])
        #expect(try home.get("").status == 200)
    }

    @Test("may not do everything there, and the log says what it may")
    func openToOthers() throws {
        let site = try OpenSite(.memory, ["--listen", "0.0.0.0:0", "--anonymous", "on"])
        let warning = try site.guests.process.errors.line(with: "anonymous connections are allowed")
        for ability in ["list", "read", "join", "create", "send"] { #expect(warning.contains(ability), "\(warning)") }
        #expect(warning.contains("0.0.0.0"), "\(warning)")

        let pets = try Line("/ws/", at: site.guests)
        try pets.send(#"{"event":"broadcast","data":{"content":"We close at noon."}}"#)
        try pets.hear("error", #""event":"broadcast""#)
        let admin = try Line("/ws/?token=\(ConfabServer.token(for: "root", isAdmin: true))", at: site.guests)
        try admin.send(#"{"event":"broadcast","data":{"content":"We close at noon."}}"#)
        try pets.hear("We close at noon.")

        // Naming the creator, or joining under its id, does not make one the creator.
        let made = try JSONObject(site.post("/create", #"{"title":"Tea","user_id":"user123"}"#).body)
        let id = try #require(made["room_id"])
        #expect(try site.post("/\(id)/end", #"{"user_id":"user123"}"#).status == 403)
        let joined = try JSONObject(site.post("/\(id)/join", #"{"user_id":"user123","username":"Eve"}"#).body)
        #expect(try site.post("/\(id)/end", "{}", token: joined["token"]).status == 403)
        let token = try #require(made["token"])
        // A fresh one says the same.
        let again = try JSONObject(site.post("/\(id)/join", "{}", token: token).body)
        #expect(try site.post("/\(id)/end", "{}", token: again["token"]).status == 200)
        let other = try JSONObject(site.post("/create", #"{"title":"Tea"}"#).body)
        #expect(try site.post("/\(other["room_id"] ?? "")/end", "{}", token: token).status == 403)
        #expect(try site.post("/\(other["room_id"] ?? "")/end", "{}", token: other["token"]).status == 200)
    }
}
