import Foundation
import TestKit
import TestTraits
import Testing

@Suite("A guest", .programs, .ownThread)
struct GuestSystemTests {
    @Test(
        "never appears as the token user with the same id, in any protocol",
        arguments: StoreDeployment.usual)
    func guestIdentityInEveryProtocol(_ storeDeployment: StoreDeployment) throws {
        let deployment = try AnonymousDeployment(storeDeployment)
        let room = try deployment.createConversation(by: "owner")
        let readers: [GuestReader] = try ProtocolAdapter.all.map {
            (
                adapter: $0,
                connection: try ProtocolConnection(
                    $0, "reader-\($0.name)", in: room, at: deployment.readerServer)
            )
        }

        // Chats identifies guests by name.
        let alice = try ProtocolConnection("/ws/chats/?username=alice", at: deployment.guestServer)
        try alice.send(#"{"type":"joinChat","data":{"chat":"\#(room)"}}"#)
        try alice.awaitFrame("chatJoined", #""username":"guest:alice""#)
        try alice.send(#"{"type":"newMessage","data":{"chat":"\#(room)","text":"I am Alice"}}"#)
        for (adapter, connection) in readers {
            let frame = try connection.awaitFrame("I am Alice")
            let id =
                switch adapter.name {
                case "Rooms": #""user_id":"alice","username":"alice""#
                case "Chats": #""username":"guest:alice""#
                case "Agents": #""agent_id":"guest:alice""#
                default: #""sender_id":"guest:alice""#
                }
            #expect(frame.contains(id), "\(adapter.name): \(frame)")
            #expect(
                frame.contains(#""guest":true,"guest_key":""#), "\(adapter.name): \(frame)")
        }

        let bob = try self.checkRoomsGuest(in: room, at: deployment, readers)
        // A read receipt.
        try alice.send(#"{"type":"markRead","data":{"chat":"\#(room)","last_read_message":2}}"#)
        try readers[0].connection.awaitFrame(#""type":"read","user_id":"guest:alice""#)
        try readers[2].connection.awaitFrame("messagesRead", #""username":"guest:alice""#)

        try self.checkListsAndCommands(of: room, at: deployment, readers)
        bob.dropConnection()
        try readers[0].connection.awaitFrame(
            "user_status", #""user_id":"guest:bob","username":"Bob""#, #""status":"offline""#)
        try readers[3].connection.awaitFrame("user_left", #""user_id":"bob""#, #""guest":true"#)
    }

    private typealias GuestReader = (adapter: ProtocolAdapter, connection: ProtocolConnection)

    /// Rooms identifies guests by `user_id`: a message, typing, joining and leaving.
    private func checkRoomsGuest(
        in room: String, at deployment: AnonymousDeployment, _ readers: [GuestReader]
    ) throws -> ProtocolConnection {
        let bob = try ProtocolConnection(
            guest: "bob", named: "Bob", in: room, at: deployment.guestServer)
        #expect(
            try bob.awaitFrame("conversation_state").contains(
                #""user_id":"alice","username":"alice","online":true,"guest":true"#))
        try bob.send(#"42["send_message",{"room_id":"\#(room)","content":"I am Bob"}]"#)
        try bob.send(#"42["typing",{"room_id":"\#(room)","is_typing":true}]"#)
        for (adapter, connection) in readers {
            let frame = try connection.awaitFrame("I am Bob")
            switch adapter.name {
            case "Rooms":
                #expect(
                    frame.contains(#""user_id":"bob","username":"Bob""#)
                        && frame.contains(#""guest":true"#), "\(frame)")
                try connection.awaitFrame("user_typing", #""user_id":"bob""#, #""guest":true"#)
                try connection.awaitFrame("user_joined", #""user_id":"bob""#, #""guest":true"#)
            case "Conversations":
                #expect(frame.contains(#""sender_id":"guest:bob""#), "\(frame)")
                try connection.awaitFrame(#""type":"typing","user_id":"guest:bob""#)
                try connection.awaitFrame(
                    "user_status", #""user_id":"guest:bob","username":"Bob""#, #""status":"online""#
                )
            case "Chats": #expect(frame.contains(#""username":"guest:Bob""#), "\(frame)")
            case "Agents": try connection.awaitFrame(#""type":"status","agent_id":"guest:bob""#)
            default: #expect(frame.contains("guest:bob"), "\(frame)")
            }
        }
        return bob
    }

    private func checkListsAndCommands(
        of room: String, at deployment: AnonymousDeployment, _ readers: [GuestReader]
    ) throws {
        let conversation = try JSONObject(deployment.get("/\(room)").body)
        let participants = conversation.object("conversation")?.objects("participants") ?? []
        #expect(
            participants.filter { $0.bool("guest") == true }.map { $0["user_id"] } == [
                "alice", "bob",
            ])
        #expect(conversation.objects("messages")?.map { $0.bool("guest") } == [true, true])
        #expect(conversation.object("conversation")?.bool("guest") == nil)
        let sent = try run(
            Checkout.confab,
            [
                "send", room, "by an operator", "--as", "guest:alice", "--yes", "--admin",
                "http://127.0.0.1:\(deployment.readerServer.adminPort)",
            ])
        #expect(sent.exitStatus == .exited(0), "\(sent)")
        try readers[0].connection.awaitFrame("by an operator", #""sender_id":"guest:alice""#)
        let history = try run(
            Checkout.confab,
            [
                "history", room, "--admin", "http://127.0.0.1:\(deployment.readerServer.adminPort)",
                "--output", "json",
            ])
        #expect(
            history.output.contains("guest:alice") && history.output.contains("guest:bob"),
            "\(history)")
        try readers[2].connection.send(#"{"type":"getChatDetails","data":{"chatId":"\#(room)"}}"#)
        let details = try readers[2].connection.awaitFrame("chatDetails")
        #expect(
            details.contains(#""username":"guest:alice""#)
                && details.contains(#""username":"guest:Bob""#), "\(details)")
    }

    @Test(
        "cannot join a conversation with a member who has its id and a token",
        arguments: StoreDeployment.usual)
    func idOfMember(_ storeDeployment: StoreDeployment) throws {
        let deployment = try AnonymousDeployment(storeDeployment)
        let room = try deployment.createConversation(by: "alice")
        let chats = try ProtocolConnection("/ws/chats/?username=alice", at: deployment.guestServer)
        try chats.send(#"{"type":"joinChat","data":{"chat":"\#(room)"}}"#)
        try chats.awaitFrame(#""message":"username: "#, #""request":"joinChat""#)
        try chats.send(#"{"type":"newMessage","data":{"chat":"\#(room)","text":"I am Alice"}}"#)
        try chats.awaitFrame("not a member")
        let rooms = try ProtocolConnection(
            guest: "alice", named: "Alice", in: room, at: deployment.guestServer)
        try rooms.awaitFrame(#""message":"user_id: "#, #""event":"join_room""#)
        let joined = try deployment.post(
            "/\(room)/join", #"{"user_id":"alice","username":"Alice"}"#)
        #expect(joined.status == 409)
        #expect(try JSONObject(joined.body)["error"]?.hasPrefix("user_id: ") == true)
        // The guest can join with another id.
        #expect(
            try deployment.post("/\(room)/join", #"{"user_id":"alice2","username":"Alice"}"#).status
                == 200)
        let messages = try JSONObject(deployment.get("/\(room)").body).objects("messages")
        #expect(messages?.isEmpty == true)
    }

    @Test("is not the token user with its id as a creator, nor the other way round", .long)
    func creatorIsGuest() throws {
        let deployment = try AnonymousDeployment()
        let created = try JSONObject(
            deployment.post("/create", #"{"title":"Tea","user_id":"alice"}"#).body)
        #expect(created.object("conversation")?["created_by"] == "alice")
        #expect(created.object("conversation")?.bool("guest") == true)
        let id = try #require(created["room_id"])
        #expect(
            try deployment.post("/\(id)/end", "{}", token: ConfabServer.token(for: "alice")).status
                == 403
        )
        let room = try deployment.createConversation(by: "alice")
        #expect(try deployment.post("/\(room)/end", #"{"user_id":"alice"}"#).status == 403)
        #expect(
            try deployment.post("/\(room)/end", "{}", token: ConfabServer.token(for: "alice"))
                .status
                == 200)
    }

    @Test("gets a token by joining, and is the same guest with it everywhere", .long)
    func guestToken() throws {
        let deployment = try AnonymousDeployment()
        let room = try deployment.createConversation(by: "owner")
        let joined = try deployment.post(
            "/\(room)/join", #"{"user_id":"user456","username":"John Doe"}"#)
        let token = try #require(JSONObject(joined.body)["token"])
        #expect(try JSONObject(joined.body).object("participant")?.bool("guest") == true)
        let reader = try ProtocolConnection(
            .conversations, "reader", in: room, at: deployment.readerServer)
        let conversations = try ProtocolConnection(
            "/conversations/\(room)/?token=\(token)", at: deployment.guestServer)
        try conversations.send(#"{"action":"send_message","content":"by Conversations"}"#)
        try reader.awaitFrame("by Conversations", #""sender_id":"guest:user456""#)
        let agents = try ProtocolConnection(
            "/v1/ws?channel_id=\(room)&token=\(token)", at: deployment.guestServer)
        try agents.send(#"{"type":"message","content":"by Agents"}"#)
        try reader.awaitFrame("by Agents", #""sender_id":"guest:user456""#)
        let chats = try ProtocolConnection("/ws/chats/?token=\(token)", at: deployment.guestServer)
        try chats.send(#"{"type":"newMessage","data":{"chat":"\#(room)","text":"by Chats"}}"#)
        try chats.awaitFrame("by Chats", #""username":"guest:John Doe""#)
        let pets = try ProtocolConnection("/ws/?token=\(token)", at: deployment.guestServer)
        try pets.send(
            #"{"event":"message","data":{"conversation_id":"\#(room)","content":"by Pets"}}"#)
        try reader.awaitFrame("by Pets", #""sender_id":"guest:user456""#)
        let rooms = try ProtocolConnection(
            "/socket.io/?EIO=4&transport=websocket", at: deployment.guestServer)
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
            "/conversations/elsewhere/?token=\(token)", at: deployment.guestServer)
        try other.awaitFrame("close 4004")
        #expect(try deployment.post("/\(room)/end", "{}", token: token).status == 403)
        // A server without anonymous access rejects the token.
        let closed = try ConfabServer(["--anonymous", "off"])
        let refused = try ProtocolConnection("/conversations/\(room)/?token=\(token)", at: closed)
        try refused.awaitFrame("close 4003")
    }

    @Test(
        "cannot be the subject of an ordinary token", .long,
        arguments: [#"{"sub":"guest:alice"}"#, #"{"sub":"eve","agent_id":"guest:alice"}"#])
    func guestPrefixIsReserved(_ claims: String) throws {
        let deployment = try AnonymousDeployment()
        let token = try Self.signed(claims)
        for (path, texts) in [
            ("/conversations/1/?token=\(token)", "close 4003"),
            ("/ws/?token=\(token)", "close 4401"),
            ("/ws/chats/?token=\(token)", "close 4401"),
        ] {
            let line = try ProtocolConnection(path, at: deployment.guestServer)
            try line.awaitFrame(texts)
        }
        #expect(
            try RawWebSocketClient.refusal(
                of: "/v1/ws?token=\(token)", port: deployment.guestServer.port
            )
            .status == 401)
        #expect(
            try HTTPReply.get(
                "\(AnonymousDeployment.root)?token=\(token)", port: deployment.guestServer.port
            ).status == 401)
        let rooms = try ProtocolConnection(
            "/socket.io/?EIO=4&transport=websocket", at: deployment.guestServer)
        try rooms.awaitFrame("0{")
        try rooms.send(#"40{"token":"\#(token)"}"#)
        try rooms.awaitFrame("44{")
    }

    /// A token with these claims, signed by OpenSSL, because Confab refuses to sign them.
    private static func signed(_ claims: String) throws -> String {
        let script = """
            b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
            text=$(printf '{"alg":"HS256"}' | b64).$(printf %s "$0" | b64)
            signature=$(printf %s "$text" | openssl dgst -sha256 -hmac "$1" -binary | b64)
            printf '%s.%s' "$text" "$signature"
            """
        return try run("/bin/sh", ["-c", script, claims, ConfabServer.secret]).output
    }

    // MARK: Listeners that other machines reach

    @Test("is rejected by default on a listener that other machines reach")
    func closedByDefault() throws {
        let deployment = try AnonymousDeployment(.memory, ["--listen", "0.0.0.0:0"])
        #expect(try deployment.get("").status == 401)
        let pets = try ProtocolConnection("/ws/", at: deployment.guestServer)
        try pets.awaitFrame("close 4401")
        for (option, mentionsAnonymous) in [("off", false), ("on", true)] {
            let check = try run(
                Checkout.confab,
                [
                    "config", "check", "--listen", "0.0.0.0:0", "--admin", "off", "--anonymous",
                    option,
                ],
                folder: deployment.guestServer.folder.path)
            #expect(
                check.exitStatus == .exited(0)
                    && check.errors.contains("without a token") == mentionsAnonymous,
                "\(check)")
        }
        let home = try AnonymousDeployment(.memory, [])
        #expect(try home.get("").status == 200)
    }

    @Test("has restricted rights on such a listener, and the log lists them")
    func openToOthers() throws {
        let deployment = try AnonymousDeployment(
            .memory, ["--listen", "0.0.0.0:0", "--anonymous", "on"])
        let warning = try deployment.guestServer.process.errors.line(
            with: "anonymous connections allowed")
        for ability in ["list", "read", "join", "create", "send"] {
            #expect(warning.contains(ability), "\(warning)")
        }
        #expect(warning.contains("0.0.0.0"), "\(warning)")

        let pets = try ProtocolConnection("/ws/", at: deployment.guestServer)
        try pets.send(#"{"event":"broadcast","data":{"content":"We close at noon."}}"#)
        try pets.awaitFrame("error", #""event":"broadcast""#)
        let admin = try ProtocolConnection(
            "/ws/?token=\(ConfabServer.token(for: "root", isAdmin: true))",
            at: deployment.guestServer)
        try admin.send(#"{"event":"broadcast","data":{"content":"We close at noon."}}"#)
        try pets.awaitFrame("We close at noon.")

        // Naming the creator, or joining with its id, does not grant the creator's rights.
        let created = try JSONObject(
            deployment.post("/create", #"{"title":"Tea","user_id":"user123"}"#).body)
        let id = try #require(created["room_id"])
        #expect(try deployment.post("/\(id)/end", #"{"user_id":"user123"}"#).status == 403)
        let joined = try JSONObject(
            deployment.post("/\(id)/join", #"{"user_id":"user123","username":"Eve"}"#).body)
        #expect(try deployment.post("/\(id)/end", "{}", token: joined["token"]).status == 403)
        let token = try #require(created["token"])
        // A new token has the same rights.
        let again = try JSONObject(deployment.post("/\(id)/join", "{}", token: token).body)
        #expect(try deployment.post("/\(id)/end", "{}", token: again["token"]).status == 200)
        let other = try JSONObject(deployment.post("/create", #"{"title":"Tea"}"#).body)
        #expect(
            try deployment.post("/\(other["room_id"] ?? "")/end", "{}", token: token).status == 403)
        #expect(
            try deployment.post("/\(other["room_id"] ?? "")/end", "{}", token: other["token"])
                .status
                == 200)
    }
}
