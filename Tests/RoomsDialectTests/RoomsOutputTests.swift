import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import EngineIO
import Identity
import RoomsDialect
import Testing

@Suite("The server's events")
struct RoomsOutputTests {
    private static let dialect = RoomsDialect(key: RoomsProbe.key)
    private static let ann = Person(id: UserID(tokenSubject: "ann"), name: "A\"\u{1E}nn")
    private static let key = ConversationKey(tenant: "tenant", id: "r")
    private static let identity = #""room_id":"r","user_id":"ann","username":"A\"\u001enn""#

    private static func render(_ event: ChatEvent, in key: ConversationKey = key) -> [String] {
        var rendering = Rendering()
        self.dialect.render(event, in: key, into: &rendering)
        return rendering.frames.indices.map { index in
            let text = String(
                decoding: rendering.text.bytes[rendering.textRange(ofFrame: index)], as: UTF8.self)
            PacketRule.check(text)
            let frame = rendering.frames[index]
            return "\(frame.audience)\(frame.unlessTracked ? " unless tracked" : "") \(text)"
        }
    }

    @Test("deliver a message to everybody, followed by the offset of clients in one room")
    func messages() {
        #expect(
            Self.render(.posted(.sent(7, #"say \"hi\""#))) == [
                #"everybody \#(RoomsFrame.message(7, in: "r", #"say \\\"hi\\\""#))"#,
                #"everybody unless tracked \#(RoomsFrame.offset("r=7"))"#,
            ])
    }

    @Test(
        "keep only the frame with an offset together with the one before it",
        arguments: [
            (#"42["offset","r=7"]"#, true), (#"42["offset",""#, true), (#"42["offset","#, false),
            (#"42["new_message",{"content":"42[\"offset\","}]"#, false), ("2", false), ("", false),
        ])
    func companions(packet: String, isCompanion: Bool) {
        #expect(Self.dialect.isCompanion(Array(packet.utf8).span.bytes) == isCompanion)
    }

    @Test("report typing, presence and leaving to the others, and the end to everybody")
    func others() {
        let at = RoomsProbe.time
        #expect(
            Self.render(.typing(Self.ann, true)) == [
                #"others(ann) 42["user_typing",{\#(Self.identity),"is_typing":true}]"#
            ])
        #expect(
            Self.render(.typing(Self.ann, false)) == [
                #"others(ann) 42["user_typing",{\#(Self.identity),"is_typing":false}]"#
            ])
        let guest = Person(
            id: UserID(guest: "bob", key: "q8Zt-m_R", provenBy: .connection), name: "Bob")
        let changes = [
            PresenceChange(person: Self.ann, isOnline: true, at: at),
            PresenceChange(person: guest, isOnline: false, at: at),
            PresenceChange(person: guest, isOnline: false, at: at, isMember: false),
        ]
        #expect(
            Self.render(.presence(changes)) == [
                #"""
                others(ann) 42["user_joined",{\#(Self.identity),\#
                "timestamp":"\#(RoomsFrame.instant)"}]
                """#,
                #"""
                others(anonymous bob) 42["user_left",{"room_id":"r","user_id":"bob",\#
                "username":"Bob","timestamp":"\#(RoomsFrame.instant)","guest":true,\#
                "guest_key":"q8Zt-m_R"}]
                """#,
            ])
        #expect(
            Self.render(.crowd(online: 300, Array(changes.prefix(2)))) == [
                #"""
                everybody 42["presence",{"room_id":"r","online":300,"changes":[{"user_id":"ann",\#
                "username":"A\"\u001enn","status":"online","timestamp":"\#(RoomsFrame.instant)"},
                """#
                    + #"""
                    {"user_id":"bob","username":"Bob","status":"offline",\#
                    "timestamp":"\#(RoomsFrame.instant)","guest":true,"guest_key":"q8Zt-m_R"}]}]
                    """#
            ])
        #expect(
            Self.render(.crowd(online: 0, [])) == [
                #"everybody 42["presence",{"room_id":"r","online":0,"changes":[]}]"#
            ])
        let member = Member(user: Self.ann.id, name: Self.ann.name, role: .member, joinedAt: at)
        #expect(
            Self.render(.left(member, at: at)) == [
                #"""
                others(ann) 42["user_left",{\#(Self.identity),\#
                "timestamp":"\#(RoomsFrame.instant)"}]
                """#
            ])
        #expect(
            Self.render(.ended(by: guest.id, at: at)) == [
                #"""
                everybody 42["conversation_ended",{"room_id":"r","ended_by":"bob",\#
                "timestamp":"\#(RoomsFrame.instant)","guest":true,"guest_key":"q8Zt-m_R"}]
                """#
            ])
    }

    @Test("report nothing else, and nothing of inboxes")
    func silent() {
        let member = Member(
            user: Self.ann.id, name: Self.ann.name, role: .member, joinedAt: RoomsProbe.time)
        let silent: [ChatEvent] = [
            .created, .joined(member), .renamed(member), .read(Self.ann, [1], through: 1),
            .status(author: Self.ann.id, .read, [1], at: RoomsProbe.time), .presence([]),
        ]
        for event in silent { #expect(Self.render(event).isEmpty, "\(event)") }
        for inbox in [
            ConversationKey.inbox(of: Self.ann.id, in: "tenant"),
            .inbox(ofAll: "rooms", in: "tenant"),
        ] {
            #expect(Self.render(.posted(.sent(1)), in: inbox).isEmpty)
        }
    }

    @Test("belong to only one path", arguments: [[], ["ws"], ["socket.io", "x"], ["Socket.io"]])
    func paths(_ path: [String]) {
        #expect(
            Self.dialect.open(
                DialectRequest(
                    path: path, query: [], credentials: .none, now: Timestamp(milliseconds: 0)))
                == nil)
    }

    @Test("acknowledge a stored send if that is wanted; otherwise the message is the answer")
    func sent() {
        var probe = RoomsProbe.ann(in: "r")
        let ack =
            #"437[{"ok":true,"id":"7","timestamp":"\#(RoomsFrame.instant)","local_id":"n-\"1"}]"#
        let argument = #"{"room_id":"r","content":"x","local_id":"n-\"1"}"#
        for isShown in [true, false] {
            _ = probe.emit("send_message", argument, ack: 7)
            #expect(probe.answer(.posted(.sent(7)), isDelivered: isShown) == [ack])
        }
        _ = probe.emit("send_message", #"{"room_id":"r","content":"x"}"#, ack: 0)
        #expect(
            probe.answer(.posted(.sent(8)), isDelivered: true) == [
                #"430[{"ok":true,"id":"8","timestamp":"\#(RoomsFrame.instant)"}]"#
            ])
        _ = probe.emit("send_message", argument)
        #expect(
            probe.answer(.posted(.sent(9)), isDelivered: true).isEmpty, "all subscribers receive it"
        )
        // A repeated send that no other connection receives.
        _ = probe.emit("send_message", argument)
        #expect(probe.answer(.posted(.sent(7))) == [RoomsFrame.message(7, in: "r")])
        _ = probe.emit("send_message", argument)
        #expect(
            probe.answer(.failed(.conversationEnded)) == [
                RoomsFrame.error("conversation ended", "send_message", localID: #""n-\"1""#)
            ])
        _ = probe.emit("send_message", argument, ack: 8)
        #expect(
            probe.answer(.failed(.conversationEnded)) == [
                RoomsFrame.refusal(8, "conversation ended", isSend: true, localID: #""n-\"1""#)
            ])
        _ = probe.emit("send_message", argument, ack: 9)
        #expect(
            probe.answer(.failed(.notAMember)) == [
                RoomsFrame.refusal(
                    9, "room_id: not a member of this conversation", isSend: true,
                    localID: #""n-\"1""#)
            ])
    }

    @Test("acknowledge a completed request if that is wanted")
    func acknowledged() {
        var probe = RoomsProbe.ann(in: "r")
        for (event, argument) in [
            ("typing", #"{"room_id":"r","is_typing":true}"#), ("leave_room", #"{"room_id":"r"}"#),
        ] {
            _ = probe.emit(event, argument)
            #expect(probe.answer(.done).isEmpty)
            _ = probe.emit(event, argument, ack: 5)
            #expect(probe.answer(.done) == [#"435[{"ok":true}]"#])
            _ = probe.emit(event, argument)
            #expect(
                probe.answer(.failed(.notAMember)) == [
                    RoomsFrame.error("room_id: not a member of this conversation", event)
                ])
            _ = probe.emit(event, argument, ack: 5)
            #expect(
                probe.answer(.failed(.unavailable)) == [
                    RoomsFrame.refusal(5, "this could not be stored; try again")
                ])
        }
        // An error of the store says what has become of the change.
        _ = probe.emit("pin", #"{"room_id":"r","message_id":"4"}"#, ack: 6)
        #expect(
            probe.answer(.failed(.outcomeUnknown)) == [
                #"""
                436[{"ok":false,\#
                "error":"it is unknown whether this was stored; try again with the same id",\#
                "outcome":"unknown"}]
                """#
            ])
    }

    @Test("report where the history is truncated")
    func truncated() {
        var probe = RoomsProbe.ann(in: "r")
        #expect(
            probe.perform { $0.historyTruncated(in: .rooms("tenant", "r"), oldest: 17, into: &$1) }
                == [
                    #"42["error",{"message":"history truncated","room_id":"r","oldest_id":"17"}]"#
                ])
    }

    @Test("are not sent to a client that has disconnected")
    func closedSession() {
        var probe = RoomsProbe.ann(in: "r")
        _ = probe.emit("send_message", #"{"room_id":"r","content":"x"}"#, ack: 1)
        _ = probe.emit("typing", #"{"room_id":"r","is_typing":true}"#, ack: 2)
        let indexes = (probe.tags.count - 2, probe.tags.count - 1)
        #expect(probe.send("1") == ["unsubscribe tenant/r"])
        #expect(probe.answer(.posted(.sent(1)), to: indexes.0).isEmpty)
        #expect(probe.answer(.failed(.unavailable), to: indexes.1).isEmpty)
        #expect(RoomsFrame.connected(probe.send("0")) != nil)
        // After the next connect, acknowledgement ids have a new meaning.
        #expect(probe.answer(.posted(.sent(1)), to: indexes.0).isEmpty)
        #expect(probe.answer(.failed(.unavailable), to: indexes.1).isEmpty)
        #expect(probe.wakeAt == nil)
    }
}
