import Testing

@testable import ChatClient

@Suite("A chat in the Rooms protocol")
struct RoomsClientTests {
    private static let url = "ws://host/socket.io/?EIO=4&transport=websocket"
    private static let open =
        #"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
    private static let state =
        #"{"conversation":{"room_id":"abc12345","title":"T","is_active":true},"participants":[{"user_id":"user123","username":"John Doe","online":true},{"user_id":"u2","username":"Jane","online":true},{"user_id":"u3","username":"Jim","online":false}],"messages":[\#(message(1, "u2", "Jane", "one")),\#(message(2, "user123", "John Doe", "two"))]}"#
    private static let join =
        #"["join_room",{"room_id":"abc12345","user_id":"user123","username":"John Doe"}]"#

    private static func message(_ id: Int, _ user: String, _ name: String, _ content: String)
        -> String
    {
        #"{"id":"\#(id)","room_id":"abc12345","user_id":"\#(user)","username":"\#(name)","content":"\#(content)","timestamp":"2026-01-31T12:00:00.123Z"}"#
    }

    private func fixture(isInteractive: Bool = true, token: String? = nil) throws
        -> ChatSessionFixture
    {
        let client = RoomsClient(
            try WebSocketURL(Self.url), in: "abc12345",
            as: .init(user: "user123", name: "John Doe"), token: token)
        return ChatSessionFixture(isInteractive: isInteractive, user: "user123", speaking: client)
    }

    private func joinConversation(_ stage: inout ChatSessionFixture, pid: String? = "p-1")
        -> [ChatStep]
    {
        _ = stage.start()
        _ = stage.open()
        _ = stage.receive(Self.open)
        _ = stage.receive(
            #"40{"sid":"wZX3oN0bSVIhsaknAAAI"\#(pid.map { #","pid":"\#($0)""# } ?? "")}"#)
        return stage.receive(#"42["conversation_state",\#(Self.state)]"#)
    }

    @Test("connects, joins the room, and sees who and what is there")
    func joining() throws {
        var stage = try self.fixture(token: "a.b.c")
        #expect(stage.start() == [.connect(after: nil)])
        #expect(
            stage.session.dialect.url(after: 7).target == "/socket.io/?EIO=4&transport=websocket")
        #expect(stage.open() == [])
        #expect(stage.receive(Self.open).sent == [#"40{"token":"a.b.c"}"#])
        #expect(
            stage.receive(#"40{"sid":"wZX3oN0bSVIhsaknAAAI","pid":"p-1"}"#).sent == [
                "420\(Self.join)"
            ])
        let steps = stage.receive(#"42["conversation_state",\#(Self.state)]"#)
        #expect(steps.shown == ["#1 Jane: one", "#2 me: two", "notice Here: Jane."])
        // The answer says it all again.
        #expect(stage.receive(#"430[{"ok":true,\#(Self.state.dropFirst())]"#) == [])
    }

    @Test("takes the state from the answer where that comes first")
    func stateInAnswer() throws {
        var stage = try self.fixture(isInteractive: false)
        _ = stage.start()
        _ = stage.open()
        #expect(stage.receive(Self.open).sent == ["40"])
        _ = stage.receive(#"40{"sid":"x"}"#)
        _ = stage.type("hello")
        #expect(
            stage.receive(#"430[{"ok":true,\#(Self.state.dropFirst())]"#).sent == [
                #"421["send_message",{"room_id":"abc12345","content":"hello","local_id":"id-1"}]"#
            ])
    }

    @Test(
        "its line is stored when it is acknowledged, and is shown once", arguments: [true, false])
    func sending(eventFirst: Bool) throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        #expect(
            stage.type("three").sent == [
                #"421["send_message",{"room_id":"abc12345","content":"three","local_id":"id-1"}]"#
            ])
        let event = #"42["new_message",\#(Self.message(3, "user123", "John Doe", "three"))]"#
        let answer =
            #"431[{"ok":true,"id":"3","timestamp":"2026-01-31T12:00:00.123Z","local_id":"id-1"}]"#
        #expect(stage.receive(eventFirst ? event : answer).shown == ["#3 me: three"])
        #expect(stage.receive(#"42["offset","o-3"]"#) == [])
        #expect(stage.receive(eventFirst ? answer : event).shown == [])
        #expect(stage.session.outbox.isEmpty)
    }

    @Test("a guest of its user's id is somebody else")
    func guest() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        let guests = Self.message(3, "user123", "Eve", "three").dropLast() + #","guest":true}"#
        #expect(stage.receive(#"42["new_message",\#(guests)]"#).shown == ["#3 Eve: three"])
        #expect(
            stage.receive(#"42["new_message",\#(Self.message(4, "user123", "John Doe", "four"))]"#)
                .shown == ["#4 me: four"])
    }

    @Test("is recovered where the server can do that: what was missed comes of itself")
    func recovery() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.receive(#"42["new_message",\#(Self.message(3, "u2", "Jane", "three"))]"#)
        _ = stage.receive(#"42["offset","o-3"]"#)
        _ = stage.type("five")
        _ = stage.disconnect()
        #expect(stage.advanceTime(.seconds(1)).connects == [3])
        _ = stage.open()
        #expect(stage.receive(Self.open).sent == [#"40{"pid":"p-1","offset":"o-3"}"#])
        let steps = stage.receive(#"40{"sid":"other","pid":"p-1"}"#)
        #expect(steps.shown == ["notice Connected again."])
        #expect(
            steps.sent == [
                #"422["send_message",{"room_id":"abc12345","content":"five","local_id":"id-1"}]"#
            ])
        #expect(
            stage.receive(#"42["new_message",\#(Self.message(4, "u2", "Jane", "four"))]"#).shown
                == ["#4 Jane: four"])
    }

    @Test("takes for its offset whatever string an event ends with, as stock servers say it")
    func stockOffset() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        #expect(
            stage.receive(#"42["new_message",\#(Self.message(3, "u2", "Jane", "three")),"o-3"]"#)
                .shown == ["#3 Jane: three"])
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        #expect(stage.receive(Self.open).sent == [#"40{"pid":"p-1","offset":"o-3"}"#])
    }

    @Test("joins anew where it is not recovered, and finds what it missed in the state")
    func noRecovery() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.receive(#"42["offset","o-2"]"#)
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        _ = stage.receive(Self.open)
        #expect(stage.receive(#"40{"sid":"other","pid":"p-2"}"#).sent == ["421\(Self.join)"])
        // An offset from outside the room leads nowhere.
        _ = stage.receive(#"42["offset","o-outside"]"#)
        let state = Self.state.replacing(
            #""messages":["#, with: #""messages":[\#(Self.message(4, "u2", "Jane", "four")),"#)
        let steps = stage.receive(#"42["conversation_state",\#(state)]"#)
        #expect(
            steps.shown == [
                "trouble Some messages were missed: #3 is not among those that the server gives.",
                "#4 Jane: four",
                "notice Connected again.",
            ])
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(3))
        _ = stage.open()
        #expect(stage.receive(Self.open).sent == ["40"])
    }

    @Test("typing goes both ways, and so do coming and going")
    func others() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        #expect(
            stage.apply { $0.editing("h", at: $1, into: &$2) }.sent == [
                #"42["typing",{"room_id":"abc12345","is_typing":true}]"#
            ])
        _ = stage.receive(
            #"42["user_typing",{"room_id":"abc12345","user_id":"u2","username":"Jane","is_typing":true}]"#
        )
        #expect(stage.session.status.typing == ["Jane"])
        #expect(
            stage.receive(
                #"42["user_left",{"room_id":"abc12345","user_id":"u2","username":"Jane","timestamp":"x"}]"#
            ).shown
                == ["notice Jane has left."])
        #expect(
            stage.receive(
                #"42["user_joined",{"room_id":"abc12345","user_id":"u3","username":"Jim","timestamp":"x"}]"#
            ).shown
                == ["notice Jim is here."])
        _ = stage.receive(#"42["presence",{"room_id":"abc12345","online":300,"changes":[]}]"#)
        #expect(stage.type("/who").shown == ["notice 300 people are here."])
        #expect(
            stage.receive(
                #"42["conversation_ended",{"room_id":"abc12345","ended_by":"u2","timestamp":"x"}]"#
            ).shown
                == ["notice The conversation was ended by u2."])
    }

    @Test("answers pings, and says goodbye so that nobody waits for it")
    func engine() throws {
        var stage = try self.fixture()
        _ = stage.start()
        _ = stage.open()
        #expect(stage.receive("2").sent == ["3"])
        #expect(stage.receive("2probe").sent == ["3probe"])
        #expect(stage.receive("6") == [])
        _ = stage.receive(Self.open)
        _ = stage.receive(#"40{"sid":"x"}"#)
        _ = stage.receive(#"42["conversation_state",\#(Self.state)]"#)
        #expect(stage.type("/quit") == [.send("41"), .close, .exit(0)])
    }

    @Test("a refusal says why, and so does the end of a session")
    func refusals() throws {
        var stage = try self.fixture()
        _ = stage.start()
        _ = stage.open()
        _ = stage.receive(Self.open)
        var steps = stage.receive(#"44{"message":"a token is required"}"#)
        #expect(steps.shown == ["trouble The server says: a token is required"])
        #expect(steps.exitStatus == 1)

        stage = try self.fixture()
        _ = stage.start()
        _ = stage.open()
        _ = stage.receive(Self.open)
        _ = stage.receive(#"40{"sid":"x"}"#)
        steps = stage.receive(#"430[{"ok":false,"error":"room_id: no such room"}]"#)
        #expect(steps.shown == ["trouble The server says: room_id: no such room"])
        #expect(steps.exitStatus == 1)

        stage = try self.fixture()
        _ = self.joinConversation(&stage)
        #expect(
            stage.receive(#"42["error",{"message":"token expired","event":null}]"#).shown == [
                "trouble The server says: token expired"
            ])
        steps = stage.receive("41")
        #expect(steps.shown == ["trouble The server has ended the session."])
        #expect(steps.exitStatus == 1)
    }

    @Test("a line that is refused is said so, or sent again when that helps")
    func failed() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.type("one")
        #expect(
            stage.receive(#"431[{"ok":false,"error":"rate limited","retry_after":0.50}]"#) == [])
        #expect(
            stage.advanceTime(.seconds(1)).sent == [
                #"422["send_message",{"room_id":"abc12345","content":"one","local_id":"id-1"}]"#
            ])
        #expect(
            stage.receive(#"432[{"ok":false,"error":"conversation ended"}]"#).shown == [
                "trouble Not sent: one (conversation ended)"
            ])
        // Answers that nobody waits for.
        #expect(stage.receive(#"432[{"ok":true,"id":"9"}]"#) == [])
    }

    @Test(
        "says so of what is no packet",
        arguments: [
            "", "9", "x", "0", "0{}", "4", "49", "40", "42", #"42{"a":1}"#, "42[]", "42[7]",
            "43[1]", "430",
            #"451-["x",{"_placeholder":true,"num":0}]"#,
            "bAQID", "42[\"unfinished",
        ])
    func malformed(text: String) throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        #expect(
            stage.receive(text).shown == [
                "trouble The server said something that is not of the Rooms protocol."
            ])
    }

    @Test(
        "lets pass what it does not know",
        arguments: [
            #"42["from_the_future",{"room_id":"abc12345"}]"#,
            #"42["new_message",{"room_id":"other","id":"1"}]"#, #"42["new_message"]"#,
            #"42["new_message",{"room_id":"abc12345","id":"x"}]"#, #"42/admin,["x"]"#, "1",
        ])
    func unknown(text: String) throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        #expect(stage.receive(text) == [])
    }
}
