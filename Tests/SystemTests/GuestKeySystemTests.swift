import Foundation
import TestKit
import TestTraits
import Testing

/// A stranger knows the id of a guest, which is public, and nothing else. The guest is at the first
/// node, the stranger and the readers are at the last one.
@Suite("A guest whose id is known", .programs, .ownThread)
struct GuestKeySystemTests {
    @Test(
        "cannot be impersonated in any protocol, and changes its own messages on every node",
        arguments: StoreDeployment.usual)
    func impersonation(_ storeDeployment: StoreDeployment) throws {
        let deployment = try AnonymousDeployment(storeDeployment)
        let room = try deployment.createConversation(by: "owner")
        let reader = try ProtocolConnection(
            .conversations, "reader", in: room, at: deployment.readerServer)
        let alice = try Self.join(room, as: "alice", at: deployment.guestServer)
        let sent = try Self.request(
            "POST", "/\(room)/messages", #"{"content":"by alice"}"#, alice,
            at: deployment.guestServer)
        #expect(sent.status == 201)
        let key = try #require(JSONObject(sent.body).object("message")?["guest_key"])
        try reader.awaitFrame("by alice", #""sender_id":"guest:alice""#, #""guest_key":"\#(key)""#)

        // Joining by the id gives a token of another guest.
        let stranger = try Self.join(room, as: "alice", at: deployment.readerServer)
        for (method, body) in [("PATCH", #"{"content":"forged"}"#), ("DELETE", "")] {
            let reply = try Self.request(
                method, "/\(room)/messages/1", body, stranger, at: deployment.readerServer)
            #expect(reply.status == 403, "\(method): \(reply.body)")
            let bare = try Self.request(
                method, "/\(room)/messages/1", body, nil, at: deployment.readerServer)
            #expect(bare.status == 401)
        }
        let chat = try ProtocolConnection(
            "/conversations/\(room)/?token=\(stranger)", at: deployment.readerServer)
        for action in [#""edit_message","content":"forged""#, #""delete_message""#] {
            try chat.send(#"{"action":\#(action),"message_id":"1"}"#)
        }
        try chat.awaitFrame(#""action":"edit_message""#, "the author of a message")
        try chat.awaitFrame(#""action":"delete_message""#, "the author of a message")
        try chat.send(#"{"action":"send_message","content":"by a stranger"}"#)
        let forged = try reader.awaitFrame("by a stranger", #""sender_id":"guest:alice""#)
        #expect(!forged.contains(key) && forged.contains(#""guest":true,"guest_key":""#))

        // Without any token it may speak as yet another guest of this id.
        let claim = #"{"content":"by a claim","user_id":"alice","username":"alice"}"#
        #expect(
            try Self.request("POST", "/\(room)/messages", claim, nil, at: deployment.readerServer)
                .status == 201)
        #expect(!(try reader.awaitFrame("by a claim", "guest:alice")).contains(key))
        let messages = try JSONObject(deployment.get("/\(room)/messages").body).objects("messages")
        #expect(messages?.map { $0["content"] } == ["by alice", "by a stranger", "by a claim"])
        #expect(Set(messages?.map { $0["guest_key"] ?? "" } ?? []).count == 3)
        // The guest itself changes it, with a renewed token and at the other node.
        let renewed = try #require(
            JSONObject(
                Self.request(
                    "POST", "/\(room)/join", "{}", alice, at: deployment.readerServer
                ).body)["token"])
        let edited = try Self.request(
            "PATCH", "/\(room)/messages/1", #"{"content":"edited"}"#, renewed,
            at: deployment.readerServer)
        #expect(edited.status == 200, "\(edited.body)")
        try reader.awaitFrame("message.edited", #""guest_key":"\#(key)""#)
    }

    @Test("keeps its rights as a creator, and is added by nobody", arguments: StoreDeployment.usual)
    func creator(_ storeDeployment: StoreDeployment) throws {
        let deployment = try AnonymousDeployment(storeDeployment)
        let created = try JSONObject(
            deployment.post(
                "/create", #"{"title":"Tea","user_id":"alice","pin_policy":"creator"}"#
            ).body)
        let (room, token) = (try #require(created["room_id"]), try #require(created["token"]))
        #expect(created.object("conversation")?["guest_key"]?.count == 8)
        let stranger = try Self.join(room, as: "alice", at: deployment.readerServer)
        let posted = try Self.request(
            "POST", "/\(room)/messages", #"{"content":"Hi"}"#, stranger,
            at: deployment.readerServer)
        #expect(posted.status == 201)
        let pin = "/\(room)/messages/1/pin"
        #expect(
            try Self.request("PUT", pin, "", stranger, at: deployment.readerServer).status == 403)
        #expect(
            try Self.request(
                "DELETE", "/\(room)/members/guest%3Aalice", "", stranger,
                at: deployment.readerServer
            ).status == 403)
        #expect(
            try Self.request(
                "PATCH", "/\(room)", #"{"access":"closed"}"#, stranger, at: deployment.readerServer
            ).status == 403)
        #expect(
            try Self.request("POST", "/\(room)/end", "{}", stranger, at: deployment.readerServer)
                .status == 403)
        let added = try Self.request(
            "POST", "/\(room)/members", #"{"user_id":"guest:bob"}"#, token,
            at: deployment.guestServer)
        #expect(
            try added.status == 400
                && JSONObject(added.body)["error"]?.hasPrefix("user_id: ") == true)
        #expect(try Self.request("PUT", pin, "", token, at: deployment.guestServer).status == 200)
        #expect(
            try Self.request("POST", "/\(room)/end", "{}", token, at: deployment.guestServer).status
                == 200)
    }

    @Test(
        "shares no closed conversation and no list with those who know it",
        arguments: StoreDeployment.usual)
    func reading(_ storeDeployment: StoreDeployment) throws {
        let deployment = try AnonymousDeployment(storeDeployment)
        let room = try deployment.createConversation(by: "owner")
        let elsewhere = try deployment.createConversation(by: "owner")
        let carol = try Self.join(room, as: "carol", at: deployment.guestServer)
        // Her connection of Chats, which has a key of its own.
        let chats = try ProtocolConnection("/ws/chats/?username=carol", at: deployment.guestServer)
        try chats.send(#"{"type":"joinChat","data":{"chat":"\#(room)"}}"#)
        try chats.awaitFrame("chatJoined")
        // The stranger has a token for the conversation from before it is closed, and one for
        // another conversation.
        let early = try Self.join(room, as: "carol", at: deployment.readerServer)
        let other = try Self.join(elsewhere, as: "carol", at: deployment.readerServer)
        let owner = try RESTClient("owner", at: deployment.readerServer)
        #expect(try owner.request("PATCH", "/\(room)", #"{"access":"closed"}"#).status == 200)
        #expect(try owner.send("secret", to: room).status == 201)

        for token in [early, other, nil] {
            for (method, path, body) in [
                ("GET", "", ""), ("GET", "/messages", ""),
                ("POST", "/join", #"{"user_id":"carol","username":"Carol"}"#),
                ("POST", "/messages", #"{"content":"x","user_id":"carol","username":"Carol"}"#),
            ] {
                let reply = try Self.request(
                    method, "/\(room)\(path)", body, token, at: deployment.readerServer)
                #expect(reply.status == 404, "\(method) \(path): \(reply.body)")
            }
        }
        for token in [early, other] {
            let conversations = try ProtocolConnection(
                "/conversations/\(room)/?token=\(token)", at: deployment.readerServer)
            try conversations.awaitFrame("close 4004")
            let pets = try ProtocolConnection("/ws/?token=\(token)", at: deployment.readerServer)
            try pets.send(
                #"{"event":"history","data":{"conversation_id":"\#(room)"}}"#)
            try pets.awaitFrame(#""event":"error""#, #""event":"history""#)
        }
        let rooms = try ProtocolConnection(
            guest: "carol", named: "Carol", in: room, at: deployment.readerServer)
        try rooms.awaitFrame(#"42["error""#, #""event":"join_room""#)
        let list = try ProtocolConnection("/ws/chats/?username=carol", at: deployment.readerServer)
        try list.send(#"{"type":"getChats","data":{}}"#)
        try list.awaitFrame(#"{"type":"chatsList","data":[]}"#)
        try list.send(#"{"type":"joinChat","data":{"chat":"\#(room)"}}"#)
        try list.awaitFrame(#""request":"joinChat""#)

        // The guest is still a member, with both of its keys and at both nodes.
        let read = try Self.request(
            "GET", "/\(room)/messages", "", carol, at: deployment.readerServer)
        #expect(read.status == 200 && read.body.contains("secret"))
        #expect(
            try Self.request(
                "POST", "/\(room)/messages", #"{"content":"Hi"}"#, carol,
                at: deployment.readerServer
            ).status == 201)
        try chats.send(#"{"type":"getChats","data":{}}"#)
        try chats.awaitFrame("chatsList", room)
    }

    @Test(
        "stays the same guest when its client of Rooms resumes at another node",
        arguments: StoreDeployment.usual)
    func resuming(_ storeDeployment: StoreDeployment) throws {
        let deployment = try AnonymousDeployment(storeDeployment)
        let room = try deployment.createConversation(by: "owner")
        let reader = try ProtocolConnection(
            .conversations, "reader", in: room, at: deployment.readerServer)
        let first = try ProtocolConnection(
            guest: "erin", named: "Erin", in: room, at: deployment.guestServer)
        try first.awaitFrame("conversation_state")
        let recovery = try Self.recovery(of: first, in: room)
        let key = try Self.guestKey(in: reader.awaitFrame("before"))
        first.dropConnection()

        let second = try ProtocolConnection(
            "/socket.io/?EIO=4&transport=websocket", at: deployment.readerServer)
        try second.awaitFrame("0{")
        try second.send("40\(recovery)")
        try second.awaitFrame("40{")
        try second.send(#"42["send_message",{"room_id":"\#(room)","content":"after"}]"#)
        #expect(try Self.guestKey(in: reader.awaitFrame("after")) == key)

        // A client that keeps nothing speaks again, as another guest of its id.
        second.dropConnection()
        try reader.awaitFrame("user_status", #""guest_key":"\#(key)""#, #""status":"offline""#)
        let third = try ProtocolConnection(
            guest: "erin", named: "Erin", in: room, at: deployment.guestServer)
        try third.awaitFrame("conversation_state")
        try third.send(#"42["send_message",{"room_id":"\#(room)","content":"later"}]"#)
        #expect(try Self.guestKey(in: reader.awaitFrame("later")) != key)
    }

    @Test(
        "keeps its place in a conversation that is closed while a stranger has its id",
        arguments: StoreDeployment.usual)
    func returning(_ storeDeployment: StoreDeployment) throws {
        let deployment = try AnonymousDeployment(storeDeployment)
        let room = try deployment.createConversation(by: "owner")
        let owner = try RESTClient("owner", at: deployment.readerServer)
        let reader = try ProtocolConnection(
            .conversations, "reader", in: room, at: deployment.readerServer)
        let first = try ProtocolConnection(
            guest: "erin", named: "Erin", in: room, at: deployment.guestServer)
        try first.awaitFrame("conversation_state")
        let recovery = try Self.recovery(of: first, in: room)
        first.dropConnection()
        try reader.awaitFrame("user_status", #""user_id":"guest:erin""#, #""status":"offline""#)

        let stranger = try ProtocolConnection(
            guest: "erin", named: "Erin", in: room, at: deployment.readerServer)
        try stranger.awaitFrame("conversation_state")
        #expect(try owner.request("PATCH", "/\(room)", #"{"access":"closed"}"#).status == 200)
        #expect(try owner.send("secret", to: room).status == 201)
        let second = try ProtocolConnection(
            "/socket.io/?EIO=4&transport=websocket", at: deployment.readerServer)
        try second.awaitFrame("0{")
        try second.send("40\(recovery)")
        try second.awaitFrame("new_message", "secret")
        // The owner sees both, and one who comes later is not admitted.
        let details = try JSONObject(owner.request("GET", "/\(room)").body)
        let participants = details.object("conversation")?.objects("participants")
        #expect(participants?.filter { $0["user_id"] == "erin" }.count == 2)
        let late = try ProtocolConnection(
            guest: "erin", named: "Erin", in: room, at: deployment.guestServer)
        try late.awaitFrame(#"42["error""#, #""event":"join_room""#)
    }

    // MARK: Requests

    /// Sends a message, and returns what recovers the connection.
    private static func recovery(of connection: ProtocolConnection, in room: String) throws
        -> String
    {
        let pid = try #require(
            connection.awaitFrame("40{").split(separator: #""pid":""#).last?.split(separator: "\"")
                .first)
        try connection.send(#"42["send_message",{"room_id":"\#(room)","content":"before"}]"#)
        try connection.awaitFrame("new_message")
        let offset = try #require(
            connection.awaitFrame(#"42["offset","~"#, "=1").split(separator: "\"").dropFirst(3)
                .first)
        return #"{"pid":"\#(pid)","offset":"\#(offset)"}"#
    }

    private static func join(_ room: String, as user: String, at server: ConfabServer) throws
        -> String
    {
        let reply = try self.request(
            "POST", "/\(room)/join", #"{"user_id":"\#(user)","username":"\#(user)"}"#, nil,
            at: server)
        guard let token = try JSONObject(reply.body)["token"] else { throw TestFailure(reply.body) }
        return token
    }

    private static func request(
        _ method: String, _ path: String, _ body: String, _ token: String?, at server: ConfabServer
    ) throws -> HTTPReply {
        var fields = token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
        if !body.isEmpty {
            fields["Content-Type"] = "application/json"
            fields["Content-Length"] = "\(body.utf8.count)"
        }
        return try .request(
            method, AnonymousDeployment.root + path, port: server.port, fields: fields, body: body)
    }

    private static func guestKey(in frame: String) throws -> String {
        let parts = frame.split(separator: #""guest_key":""#)
        return try #require(parts.count > 1 ? String(parts[1].prefix(8)) : nil)
    }
}
