import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("A chat in the Rooms protocol")
struct RoomsClientTests {
    private static let url = "ws://host/socket.io/?EIO=4&transport=websocket"
    private static let open =
        #"""
        0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000,\#
        "maxPayload":1000000}
        """#
    private static let state =
        #"""
        {"conversation":{"room_id":"abc12345","title":"T","is_active":true},\#
        "participants":[{"user_id":"user123","username":"John Doe","online":true},\#
        {"user_id":"u2","username":"Jane","online":true},{"user_id":"u3","username":"Jim",\#
        "online":false}],"messages":[\#(message(1, "u2", "Jane", "one")),\#
        \#(message(2, "user123", "John Doe", "two"))]}
        """#
    private static let join =
        #"["join_room",{"room_id":"abc12345","user_id":"user123","username":"John Doe"}]"#

    private static func message(_ id: Int, _ user: String, _ name: String, _ content: String)
        -> String
    {
        #"""
        {"id":"\#(id)","room_id":"abc12345","user_id":"\#(user)","username":"\#(name)",\#
        "content":"\#(content)","timestamp":"2026-01-31T12:00:00.123Z"}
        """#
    }

    private func fixture(isInteractive: Bool = true, token: String? = nil) throws
        -> ChatSessionFixture
    {
        let client = RoomsClient(
            try WebSocketURL(Self.url), in: "abc12345",
            as: .init(user: "user123", name: "John Doe"), token: token)
        return ChatSessionFixture(isInteractive: isInteractive, user: "user123", speaking: client)
    }

    private func joinConversation(_ fixture: inout ChatSessionFixture, pid: String? = "p-1")
        -> [FixtureStep]
    {
        _ = fixture.start()
        _ = fixture.open()
        _ = fixture.receive(Self.open)
        _ = fixture.receive(
            #"40{"sid":"wZX3oN0bSVIhsaknAAAI"\#(pid.map { #","pid":"\#($0)""# } ?? "")}"#)
        return fixture.receive(#"42["conversation_state",\#(Self.state)]"#)
    }

    @Test("connects, joins the room, and displays its users and messages")
    func joining() throws {
        var fixture = try self.fixture(token: "a.b.c")
        #expect(fixture.start() == [.connect(after: nil)])
        #expect(
            fixture.session.dialect.url(after: 7, rev: nil).target
                == "/socket.io/?EIO=4&transport=websocket")
        #expect(fixture.open() == [])
        #expect(fixture.receive(Self.open).sent == [#"40{"token":"a.b.c"}"#])
        #expect(
            fixture.receive(#"40{"sid":"wZX3oN0bSVIhsaknAAAI","pid":"p-1"}"#).sent == [
                "420\(Self.join)"
            ])
        let steps = fixture.receive(#"42["conversation_state",\#(Self.state)]"#)
        #expect(steps.shown == ["#1 Jane: one", "#2 me: two", "notice Online: Jane."])
        // The answer repeats the state.
        #expect(fixture.receive(#"430[{"ok":true,\#(Self.state.dropFirst())]"#) == [])
    }

    @Test("uses the state in the answer if that is first")
    func stateInAnswer() throws {
        var fixture = try self.fixture(isInteractive: false)
        _ = fixture.start()
        _ = fixture.open()
        #expect(fixture.receive(Self.open).sent == ["40"])
        _ = fixture.receive(#"40{"sid":"x"}"#)
        _ = fixture.type("hello")
        #expect(
            fixture.receive(#"430[{"ok":true,\#(Self.state.dropFirst())]"#).sent == [
                #"421["send_message",{"room_id":"abc12345","content":"hello","local_id":"id-1"}]"#
            ])
    }

    @Test(
        "stores a line when it is acknowledged, and displays it once", arguments: [true, false])
    func sending(eventFirst: Bool) throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(
            fixture.type("three").sent == [
                #"421["send_message",{"room_id":"abc12345","content":"three","local_id":"id-1"}]"#
            ])
        let event = #"42["new_message",\#(Self.message(3, "user123", "John Doe", "three"))]"#
        let answer =
            #"431[{"ok":true,"id":"3","timestamp":"2026-01-31T12:00:00.123Z","local_id":"id-1"}]"#
        #expect(fixture.receive(eventFirst ? event : answer).shown == ["#3 me: three"])
        #expect(fixture.receive(#"42["offset","o-3"]"#) == [])
        #expect(fixture.receive(eventFirst ? answer : event).shown == [])
        #expect(fixture.session.outbox.items.isEmpty)
    }

    @Test("distinguishes a guest with the same id")
    func guest() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        let guests = Self.message(3, "user123", "Eve", "three").dropLast() + #","guest":true}"#
        #expect(fixture.receive(#"42["new_message",\#(guests)]"#).shown == ["#3 Eve: three"])
        #expect(
            fixture.receive(
                #"42["new_message",\#(Self.message(4, "user123", "John Doe", "four"))]"#
            )
            .shown == ["#4 me: four"])
    }

    @Test("is recovered if the server supports it, and receives missed messages unasked")
    func recovery() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.receive(#"42["new_message",\#(Self.message(3, "u2", "Jane", "three"))]"#)
        _ = fixture.receive(#"42["offset","o-3"]"#)
        _ = fixture.type("five")
        _ = fixture.disconnect()
        #expect(fixture.advanceTime(.seconds(1)).connects == [3])
        _ = fixture.open()
        #expect(fixture.receive(Self.open).sent == [#"40{"pid":"p-1","offset":"o-3"}"#])
        let steps = fixture.receive(#"40{"sid":"other","pid":"p-1"}"#)
        #expect(steps.shown == ["notice Reconnected."])
        #expect(
            steps.sent == [
                #"422["send_message",{"room_id":"abc12345","content":"five","local_id":"id-1"}]"#
            ])
        #expect(
            fixture.receive(#"42["new_message",\#(Self.message(4, "u2", "Jane", "four"))]"#).shown
                == ["#4 Jane: four"])
    }

    @Test("uses the trailing string of an event as the offset, as stock servers do")
    func stockOffset() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(
            fixture.receive(#"42["new_message",\#(Self.message(3, "u2", "Jane", "three")),"o-3"]"#)
                .shown == ["#3 Jane: three"])
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        #expect(fixture.receive(Self.open).sent == [#"40{"pid":"p-1","offset":"o-3"}"#])
    }

    @Test("joins again without a recovery, and finds missed messages in the state")
    func noRecovery() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.receive(#"42["offset","o-2"]"#)
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        _ = fixture.receive(Self.open)
        #expect(fixture.receive(#"40{"sid":"other","pid":"p-2"}"#).sent == ["421\(Self.join)"])
        // An offset from before the join is not used.
        _ = fixture.receive(#"42["offset","o-outside"]"#)
        let state = Self.state.replacing(
            #""messages":["#, with: #""messages":[\#(Self.message(4, "u2", "Jane", "four")),"#)
        let steps = fixture.receive(#"42["conversation_state",\#(state)]"#)
        #expect(
            steps.shown == [
                """
                error Some messages are no longer available: the server retains them from #4 on.
                """, "#4 Jane: four",
                "notice Reconnected.",
            ])
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(3))
        _ = fixture.open()
        #expect(fixture.receive(Self.open).sent == ["40"])
    }

    @Test("exchanges typing and presence in both directions")
    func others() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(
            fixture.applyInput { chat, _, steps in chat.editing("h", into: &steps) }.sent == [
                #"42["typing",{"room_id":"abc12345","is_typing":true}]"#
            ])
        _ = fixture.receive(
            #"""
            42["user_typing",{"room_id":"abc12345","user_id":"u2","username":"Jane",\#
            "is_typing":true}]
            """#
        )
        #expect(fixture.chat.status.typing == ["Jane"])
        #expect(
            fixture.receive(
                #"""
                42["user_left",{"room_id":"abc12345","user_id":"u2","username":"Jane",\#
                "timestamp":"x"}]
                """#
            ).shown
                == ["notice Jane has left."])
        #expect(
            fixture.receive(
                #"""
                42["user_joined",{"room_id":"abc12345","user_id":"u3","username":"Jim",\#
                "timestamp":"x"}]
                """#
            ).shown
                == ["notice Jim is online."])
        _ = fixture.receive(#"42["presence",{"room_id":"abc12345","online":300,"changes":[]}]"#)
        #expect(fixture.type("/who").shown == ["notice 300 users are online."])
        #expect(
            fixture.receive(
                #"""
                42["conversation_updated",{"room_id":"abc12345","conversation":\#
                {"room_id":"abc12345","title":"Tea","access":"closed","listed":false},\#
                "by":"u2","username":"Jane","rev":9}]
                """#
            ).shown
                == [
                    "notice u2 has changed the conversation: “Tea”, only its members may join."
                ])
        #expect(
            fixture.receive(
                #"42["conversation_ended",{"room_id":"abc12345","ended_by":"u2","timestamp":"x"}]"#
            ).shown
                == ["notice The conversation was ended by u2."])
    }

    @Test("answers pings, and sends a disconnect packet at the end")
    func engine() throws {
        var fixture = try self.fixture()
        _ = fixture.start()
        _ = fixture.open()
        #expect(fixture.receive("2").sent == ["3"])
        #expect(fixture.receive("2probe").sent == ["3probe"])
        #expect(fixture.receive("6") == [])
        _ = fixture.receive(Self.open)
        _ = fixture.receive(#"40{"sid":"x"}"#)
        _ = fixture.receive(#"42["conversation_state",\#(Self.state)]"#)
        #expect(fixture.type("/quit") == [.send("41"), .close, .exit(0)])
    }

    @Test("reports the reason of a rejection, and the end of a session")
    func refusals() throws {
        var fixture = try self.fixture()
        _ = fixture.start()
        _ = fixture.open()
        _ = fixture.receive(Self.open)
        var steps = fixture.receive(#"44{"message":"a token is required"}"#)
        #expect(steps.shown == ["error The server says: a token is required"])
        #expect(steps.exitStatus == 1)

        fixture = try self.fixture()
        _ = fixture.start()
        _ = fixture.open()
        _ = fixture.receive(Self.open)
        _ = fixture.receive(#"40{"sid":"x"}"#)
        steps = fixture.receive(#"430[{"ok":false,"error":"room_id: no such room"}]"#)
        #expect(steps.shown == ["error The server says: room_id: no such room"])
        #expect(steps.exitStatus == 1)

        fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(
            fixture.receive(#"42["error",{"message":"token expired","event":null}]"#).shown == [
                "error The server says: token expired"
            ])
        steps = fixture.receive("41")
        #expect(steps.shown == ["error The server has ended the session."])
        #expect(steps.exitStatus == 1)
    }

    @Test("reports a rejected line, or sends it again after a temporary error")
    func failed() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.type("one")
        #expect(
            fixture.receive(#"431[{"ok":false,"error":"rate limited","retry_after":0.50}]"#) == [])
        #expect(
            fixture.advanceTime(.seconds(1)).sent == [
                #"422["send_message",{"room_id":"abc12345","content":"one","local_id":"id-1"}]"#
            ])
        #expect(
            fixture.receive(#"432[{"ok":false,"error":"conversation ended"}]"#).shown == [
                "error Not sent: one (conversation ended)", "notice The conversation was ended.",
            ])
        // Answers without a pending request.
        #expect(fixture.receive(#"432[{"ok":true,"id":"9"}]"#) == [])
    }

    @Test(
        "reports malformed packets",
        arguments: [
            "", "9", "x", "0", "0{}", "4", "49", "40", "42", #"42{"a":1}"#, "42[]", "42[7]",
            "43[1]", "430",
            #"451-["x",{"_placeholder":true,"num":0}]"#,
            "bAQID", "42[\"unfinished",
        ])
    func malformed(text: String) throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(
            fixture.receive(text).shown == [
                "error The server sent a frame that is not part of the Rooms protocol."
            ])
    }

    @Test(
        "ignores unknown packets",
        arguments: [
            #"42["from_the_future",{"room_id":"abc12345"}]"#,
            #"42["new_message",{"room_id":"other","id":"1"}]"#, #"42["new_message"]"#,
            #"42["new_message",{"room_id":"abc12345","id":"x"}]"#, #"42/admin,["x"]"#, "1",
        ])
    func unknown(text: String) throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(fixture.receive(text) == [])
    }
}
