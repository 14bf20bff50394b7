import Bytes
import ChatModel
import DialectKit
import Identity
import RoomsDialect
import Testing

@Suite("An anonymous user")
struct AnonymousRoomsTests {
    @Test("gives its id with the first room, and keeps it")
    func identity() {
        var probe = RoomsProbe.anonymous()
        for event in [
            ("send_message", #","content":"x""#), ("typing", #","is_typing":true"#),
            ("leave_room", ""),
        ] {
            #expect(
                probe.emit(event.0, #"{"room_id":"r","user_id":"ann"\#(event.1)}"#) == [
                    RoomsFrame.error("room_id: not a member of this conversation", event.0)
                ])
        }
        #expect(
            probe.emit("join_room", #"{"room_id":"r","user_id":"ann","username":"Ann"}"#) == [
                "enter default/r as anonymous ann Ann unlisted rooms from now"
            ])
        #expect(
            probe.session.principal?.person.id.looksLike(UserID(anonymous: "ann")) == true,
            "not the user of a token")
        _ = probe.answer(.failed(.accessDenied))
        for event in ["join_room", "leave_room"] {
            #expect(
                probe.emit(event, #"{"room_id":"r","user_id":"eve"}"#) == [
                    RoomsFrame.error("user_id: is not this connection's", event)
                ])
        }
        #expect(
            probe.emit("join_room", #"{"room_id":"s","username":"Anna"}"#) == [
                "enter default/s as anonymous ann Anna unlisted rooms from now"
            ])
        #expect(
            probe.emit("send_message", #"{"room_id":"s","content":"x"}"#) == [
                #"post "x" id - by anonymous ann in default/s"#
            ])
    }

    @Test(
        "needs an id, and is named by it if it gives no name",
        arguments: [
            (
                #""user_id":"é ~;.""#,
                "enter default/r as anonymous é ~;. é ~;. unlisted rooms from now"
            ),
            (
                #""user_id":"ann","username":null"#,
                "enter default/r as anonymous ann ann unlisted rooms from now"
            ),
            (#""username":"Ann""#, RoomsFrame.error("user_id: is missing", "join_room")),
            (#""user_id":null"#, RoomsFrame.error("user_id: is missing", "join_room")),
            (#""user_id":7"#, RoomsFrame.error("user_id: must be a string", "join_room")),
            (
                #""user_id":"""#,
                RoomsFrame.error(
                    "user_id: must be \(IdentityRule.name.text)", "join_room")
            ),
            (
                #""user_id":"\u0001ann""#,
                RoomsFrame.error(
                    "user_id: must be \(IdentityRule.name.text)", "join_room")
            ),
            (
                #""user_id":"\#(String(repeating: "x", count: 129))""#,
                RoomsFrame.error(
                    "user_id: must be \(IdentityRule.name.text)", "join_room")
            ),
            (
                #""user_id":"ann","username":"""#,
                RoomsFrame.error(
                    "username: must be \(IdentityRule.name.text)", "join_room")
            ),
            (
                #""user_id":"ann","username":"a\u001eb""#,
                RoomsFrame.error(
                    "username: must be \(IdentityRule.name.text)", "join_room")
            ),
            (
                #""user_id":"ann","username":"\u3164""#,
                RoomsFrame.error(
                    "username: must be \(IdentityRule.name.text)", "join_room")
            ),
            (
                #""user_id":"ann","username":"a\u202eb""#,
                RoomsFrame.error(
                    "username: must be \(IdentityRule.name.text)", "join_room")
            ),
            (
                #""user_id":"ann","username":[]"#,
                RoomsFrame.error("username: must be a string", "join_room")
            ),
        ])
    func invalidIdentity(_ identity: String, _ step: String) {
        var probe = RoomsProbe.anonymous()
        #expect(probe.emit("join_room", #"{"room_id":"r",\#(identity)}"#) == [step])
        #expect(
            (probe.session.principal != nil) == step.hasPrefix("enter"),
            "a refused join sets no identity")
    }

    @Test("receives its offset and identity after every message")
    func offsets() {
        var probe = RoomsProbe.anonymous()
        // `Ann B` and `a~;,=`.
        let identity = "~QW5uIEI.YX47LD0;"
        #expect(
            probe.join("r", as: #","user_id":"a~;,=","username":"Ann B""#, head: 3).last
                == RoomsFrame.offset("\(identity)r=3"))
        #expect(probe.tracksDeliveries)
        #expect(probe.deliver(.sent(4), in: "r") == [RoomsFrame.offset("\(identity)r=4")])
        #expect(probe.join("q").last == RoomsFrame.offset("\(identity)q=0,r=4"))
        #expect(probe.deliver(.sent(5), in: "r") == [RoomsFrame.offset("\(identity)q=0,r=5")])
        #expect(
            probe.perform { $0.leftConversation(.rooms("default", "q"), into: &$1) }.last
                == RoomsFrame.offset("\(identity)r=5"))
        #expect(
            probe.perform { $0.leftConversation(.rooms("default", "r"), into: &$1) }.last
                == RoomsFrame.offset(identity))
    }
}
