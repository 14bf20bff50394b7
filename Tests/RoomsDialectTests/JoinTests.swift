import Bytes
import ChatModel
import DialectKit
import Identity
import RoomsDialect
import Testing

@Suite("A room")
struct JoinTests {
    private static let enter = "enter tenant/r as ann Ann listed rooms from now"
    private static let describe = "describe for ann access membersOnly in tenant/r"
    private static let read = "read newest limit 50 in tenant/r"

    @Test("that is joined sends its state, also in the acknowledgement if one is wanted")
    func state() {
        let members = [
            Member(
                user: UserID(tokenSubject: "ann"), name: "Ann", role: .creator,
                joinedAt: RoomsProbe.time),
            Member(
                user: UserID(guest: "ann", key: "q8Zt-m_R", provenBy: .connection),
                name: #"A"},{"#, role: .member, joinedAt: RoomsProbe.time),
        ]
        let participants =
            #"""
            {"user_id":"ann","username":"Ann","online":true},{"user_id":"ann","username":"A\"},{",\#
            "online":false,"guest":true,"guest_key":"q8Zt-m_R"}
            """#
        let messages = [Message.sent(6), .sent(7, by: "bob").deleted(revision: 9)]
        let state = RoomsFrame.state(
            "r", head: 7,
            RoomsFrame.messageFields(6, in: "r") + ","
                + #"""
                {"id":"7","room_id":"r","user_id":"bob","username":"bob","content":"",\#
                "timestamp":"\#(RoomsFrame.instant)","is_edited":false,"is_deleted":true}
                """#,
            participants: participants, isActive: false)
        for ack in [nil, 5] {
            var probe = RoomsProbe.ann()
            #expect(
                probe.emit("join_room", #"{"room_id":"r","username":"Eve"}"#, ack: ack) == [
                    Self.enter
                ])
            #expect(probe.tracksDeliveries, "deliveries are tracked during a join")
            #expect(probe.answer(.joined(.at(7))) == [Self.describe])
            // An ended room can be read.
            #expect(
                probe.answer(.described(.room(head: 7, members: members, isEnded: true))) == [
                    Self.read
                ])
            #expect(
                probe.page(.of(messages, head: 7))
                    == (ack == nil ? [] : [#"435[{"ok":true,\#(state)}]"#]) + [
                        #"42["conversation_state",{\#(state)}]"#, RoomsFrame.offset("r=7"),
                    ])
            #expect(
                !probe.tracksDeliveries,
                "a token's user in one room receives the shared offset")
        }
    }

    @Test("sends a state with all earlier messages, and none of the later ones")
    func messagesDuringJoin() {
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.joined(.at(2)))
        // Messages posted during the join and while the page was read: 5 is stored and not
        // delivered yet.
        #expect(probe.deliver(.sent(3), in: "r").isEmpty)
        _ = probe.answer(.described(.room(head: 3)))
        #expect(probe.deliver(.sent(4), in: "r").isEmpty)
        let messages = (1...4).map { RoomsFrame.messageFields($0, in: "r") }.joined(separator: ",")
        #expect(
            probe.page(.of([.sent(1), .sent(2), .sent(3)], head: 3)) == [
                RoomsFrame.stateEvent("r", head: 4, messages), RoomsFrame.offset("r=4"),
            ])

        var other = RoomsProbe.ann()
        _ = other.emit("join_room", #"{"room_id":"r"}"#)
        _ = other.answer(.joined(.at(2)))
        _ = other.answer(.described(.room(head: 4)))
        #expect(
            other.page(.of([.sent(1), .sent(2), .sent(3), .sent(4)], head: 4)) == [
                RoomsFrame.stateEvent(
                    "r", head: 2,
                    RoomsFrame.messageFields(1, in: "r") + ","
                        + RoomsFrame.messageFields(2, in: "r")), RoomsFrame.offset("r=2"),
            ])
    }

    @Test("sends a state with its newest fifty messages, however many arrive in the meantime")
    func newestFifty() throws {
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.joined(.at(50)))
        _ = probe.answer(.described(.room(head: 50)))
        for sequence in 51...200 { #expect(probe.deliver(.sent(sequence), in: "r").isEmpty) }
        let messages = (151...200).map { RoomsFrame.messageFields($0, in: "r") }.joined(
            separator: ",")
        let state = RoomsFrame.state("r", head: 200, messages)
        #expect(
            probe.page(.of((1...50).map { Message.sent($0) }, head: 50)) == [
                #"42["conversation_state",{\#(state),"next_before_id":"151"}]"#,
                RoomsFrame.offset("r=200"),
            ])
    }

    @Test("that is joined again sends its state again, with a new name after the rename")
    func secondJoin() {
        var probe = RoomsProbe.ann(in: "r")
        #expect(probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1) == [Self.describe])
        #expect(probe.tracksDeliveries)
        #expect(
            probe.startTrackingDeliveries(("r", 3)).isEmpty, "the offset follows the state")
        #expect(probe.answer(.described(.room(head: 3))) == [Self.read])
        let message = RoomsFrame.messageFields(3, in: "r")
        #expect(
            probe.page(.of([.sent(3)], head: 3)) == [
                #"431[{"ok":true,\#(RoomsFrame.state("r", head: 3, message))}]"#,
                RoomsFrame.stateEvent("r", head: 3, message),
                RoomsFrame.offset("r=3"),
            ])
        #expect(!probe.tracksDeliveries)
        // The session does not track deliveries yet. As a subscriber it has received every message
        // up to the owner's head.
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.described(.room(head: 6)))
        #expect(
            probe.page(.of([.sent(6), .sent(7)], head: 7)) == [
                RoomsFrame.stateEvent("r", head: 6, RoomsFrame.messageFields(6, in: "r")),
                RoomsFrame.offset("r=6"),
            ])

        var anonymous = RoomsProbe.anonymous()
        _ = anonymous.join("r", as: #","user_id":"bob","username":"Bob""#)
        #expect(
            anonymous.emit("join_room", #"{"room_id":"r","username":"Bob"}"#) == [
                "describe for anonymous bob access membersOnly in default/r"
            ])
        _ = anonymous.answer(.described(.room(head: 0)))
        _ = anonymous.page(.of([], head: 0))
        #expect(
            anonymous.emit("join_room", #"{"room_id":"r","user_id":"bob","username":"Robert"}"#)
                == [
                    "join rooms by anonymous bob in default/r"
                ])
        #expect(
            anonymous.answer(.joined(.at(0))) == [
                "describe for anonymous bob access membersOnly in default/r"
            ])
        #expect(anonymous.session.principal?.person.name == "Robert")
    }

    @Test("that is being joined is joined once, even after repeated requests")
    func joinsInParallel() {
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 100)
        for stage in 0..<3 {
            for ack in 0..<5 {
                #expect(probe.emit("join_room", #"{"room_id":"r"}"#, ack: stage * 5 + ack).isEmpty)
            }
            for _ in 0..<50 { #expect(probe.emit("join_room", #"{"room_id":"r"}"#).isEmpty) }
            switch stage {
            case 0: #expect(probe.answer(.joined(.at(0))) == [Self.describe])
            case 1: #expect(probe.answer(.described(.room(head: 0))) == [Self.read])
            default: break
            }
        }
        // Sixteen acknowledgements wait.
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#, ack: 101) == [
                RoomsFrame.refusal(101, "room_id: the room is being joined; wait for its state")
            ])
        let ok = #"[{"ok":true,\#(RoomsFrame.state("r", head: 0))}]"#
        let steps = probe.page(.of([], head: 0))
        #expect(
            steps == (["43100"] + (0..<15).map { "43\($0)" }).map { $0 + ok } + [
                RoomsFrame.stateEvent("r", head: 0), RoomsFrame.offset("r=0"),
            ])
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [Self.describe],
            "and again on the next request")
    }

    @Test("that cannot be entered reports it once to each request")
    func failures() {
        let errorText = "room_id: there is no such conversation, or you may not enter it"
        for error in [ChatError.accessDenied, .noSuchConversation] {
            var probe = RoomsProbe.ann()
            _ = probe.emit("join_room", #"{"room_id":"r"}"#)
            #expect(probe.answer(.failed(error)) == [RoomsFrame.error(errorText, "join_room")])
            #expect(!probe.tracksDeliveries)
            _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
            _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 2)
            #expect(
                probe.answer(.failed(error)) == [
                    RoomsFrame.refusal(1, errorText), RoomsFrame.refusal(2, errorText),
                ])
            _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
            _ = probe.emit("join_room", #"{"room_id":"r"}"#)
            #expect(
                probe.answer(.failed(error)) == [
                    RoomsFrame.refusal(1, errorText), RoomsFrame.error(errorText, "join_room"),
                ])
            #expect(probe.emit("join_room", #"{"room_id":"r"}"#) == [Self.enter])
        }
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        #expect(
            probe.answer(.failed(.tooManyMembers(limit: 5))) == [
                RoomsFrame.error("\(ChatError.tooManyMembers(limit: 5))", "join_room")
            ])
    }

    @Test("whose state cannot be read is left, unless the connection was in it before")
    func unreadableState() {
        let errorText = "the history cannot be read at the moment; try again"
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
        _ = probe.answer(.joined(.at(0)))
        _ = probe.answer(.described(.room(head: 0)))
        #expect(probe.page(nil) == ["unsubscribe tenant/r", RoomsFrame.refusal(1, errorText)])
        _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
        _ = probe.answer(.joined(.at(0)))
        #expect(
            probe.answer(.failed(.unavailable)) == [
                "unsubscribe tenant/r",
                RoomsFrame.refusal(1, "this could not be stored; try again"),
            ])
        _ = probe.join("r")
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.described(.room(head: 0)))
        #expect(
            probe.page(nil) == [RoomsFrame.error(errorText, "join_room"), RoomsFrame.offset("r=0")])
        #expect(probe.emit("join_room", #"{"room_id":"r"}"#) == [Self.describe])
    }

    @Test("beyond the offset limit that cannot be entered restores the offset of the others")
    func tooManyRooms() {
        var probe = RoomsProbe.ann(in: "r0")
        for number in 1..<16 { _ = probe.join("r\(number)") }
        _ = probe.emit("join_room", #"{"room_id":"s"}"#)
        #expect(probe.deliver(.sent(7), in: "r0").isEmpty, "no client resumes in so many rooms")
        let positions = (["r0=7"] + (1..<16).map { "r\($0)=0" }).sorted {
            $0.prefix { $0 != "=" } < $1.prefix { $0 != "=" }
        }
        #expect(
            probe.answer(.failed(.accessDenied)).last
                == RoomsFrame.offset(positions.joined(separator: ",")))
        _ = probe.emit("join_room", #"{"room_id":"r0"}"#)
        #expect(probe.startTrackingDeliveries(("r0", 9)).isEmpty)
        #expect(
            probe.answer(.failed(.unavailable)).last
                == RoomsFrame.offset(
                    positions.joined(separator: ",").replacing("r0=7", with: "r0=9")))
    }

    @Test("that is left acknowledges it to the requester, and sends the remaining offset")
    func ownLeave() {
        for ack in [nil, 4] {
            var probe = RoomsProbe.ann(in: "r")
            #expect(
                probe.emit("leave_room", #"{"room_id":"r"}"#, ack: ack) == ["leave ann in tenant/r"]
            )
            #expect(
                probe.perform { $0.leftConversation(.rooms("tenant", "r"), into: &$1) } == [
                    RoomsFrame.offset("")
                ])
            #expect(probe.answer(.done) == (ack == nil ? [] : [#"434[{"ok":true}]"#]))
        }
        // A failed request does not count as a leave.
        var probe = RoomsProbe.ann(in: "r")
        _ = probe.emit("leave_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.failed(.unavailable))
        let steps = probe.perform { session, steps in
            steps.now = RoomsProbe.time
            session.leftConversation(.rooms("tenant", "r"), into: &steps)
        }
        #expect(
            steps == [
                RoomsFrame.joinedOrLeft("user_left", "ann", "Ann", in: "r"), RoomsFrame.offset(""),
            ])
    }

    @Test("that another connection leaves notifies this one, and sends the remaining offset")
    func leaveElsewhere() {
        var probe = RoomsProbe.ann(in: "r", "s")
        // The gateway reports the positions from the time without tracking.
        _ = probe.startTrackingDeliveries(("r", 4))
        let left = { (probe: inout RoomsProbe, room: String) in
            probe.perform { session, steps in
                steps.now = RoomsProbe.time
                session.leftConversation(.rooms("tenant", room), into: &steps)
            }
        }
        #expect(
            left(&probe, "s") == [
                RoomsFrame.joinedOrLeft("user_left", "ann", "Ann", in: "s"),
                RoomsFrame.offset("r=4"),
            ])
        #expect(left(&probe, "s").isEmpty)
        #expect(!probe.tracksDeliveries)
        #expect(
            left(&probe, "r") == [
                RoomsFrame.joinedOrLeft("user_left", "ann", "Ann", in: "r"), RoomsFrame.offset(""),
            ])
        #expect(probe.emit("join_room", #"{"room_id":"r"}"#) == [Self.enter])
        // Another connection of the same user leaves while this one joins.
        _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 5)
        _ = probe.answer(.joined(.at(0)))
        let index = probe.tags.count - 1
        #expect(
            left(&probe, "r") == [
                RoomsFrame.refusal(5, "room_id: the room was left meanwhile"),
                RoomsFrame.error("room_id: the room was left meanwhile", "join_room"),
                RoomsFrame.joinedOrLeft("user_left", "ann", "Ann", in: "r"), RoomsFrame.offset(""),
            ])
        #expect(probe.answer(.described(.room(head: 0)), to: index).isEmpty)
        #expect(probe.answer(.failed(.notAMember), to: index).isEmpty)
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [Self.enter],
            "the connection does not count as subscribed")
        #expect(
            probe.answer(.described(.room(head: 0)), to: index).isEmpty,
            "the old answer does not belong to the new join")
    }

    @Test("is unsubscribed if the client has left during the join")
    func leftDuringJoin() {
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
        _ = probe.perform { $0.tokenExpired(into: &$1) }
        #expect(probe.answer(.joined(.at(0))) == ["unsubscribe tenant/r"])
        var other = RoomsProbe.ann()
        _ = other.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
        _ = other.answer(.joined(.at(0)))
        _ = other.answer(.described(.room(head: 0)))
        #expect(other.send("1") == ["unsubscribe tenant/r"])
        #expect(other.page(.of([], head: 0)).isEmpty)
        _ = other.send("0")
        #expect(other.page(.of([], head: 0)).isEmpty)
        #expect(other.emit("join_room", #"{"room_id":"r"}"#) == [Self.enter])
    }

    @Test("is one of a thousand at most")
    func roomLimit() {
        var probe = RoomsProbe.ann()
        for number in 0..<1000 {
            #expect((probe.join("r\(number)").last == RoomsFrame.offset("-")) == (number >= 16))
        }
        #expect(
            probe.emit("join_room", #"{"room_id":"more"}"#) == [
                RoomsFrame.error("room_id: a connection may be in 1000 rooms at most", "join_room")
            ])
        #expect(
            probe.emit("join_room", #"{"room_id":"r7"}"#) == [
                "describe for ann access membersOnly in tenant/r7"
            ])
        #expect(probe.deliver(.sent(1), in: "r5").isEmpty, "no client resumes in so many rooms")
        _ = probe.perform { $0.leftConversation(.rooms("tenant", "r5"), into: &$1) }
        #expect(probe.emit("join_room", #"{"room_id":"more"}"#).count == 1)
    }
}
