import Bytes
import ChatModel
import DialectKit
import Identity
import RoomsDialect
import Testing

@Suite("A room")
struct JoinTests {
    private static let enter = "enter tenant/r as ann Ann listed rooms from now"
    private static let describe = "describe for ann guests none in tenant/r"
    private static let read = "read newest limit 50 in tenant/r"

    @Test(
        "that is joined is shown as it stands, in the acknowledgement as well where one is wanted")
    func state() {
        let members = [
            Member(
                user: UserID(tokenSubject: "ann"), name: "Ann", role: .creator,
                joinedAt: RoomsProbe.time),
            Member(
                user: UserID(anonymous: "ann"), name: #"A"},{"#, role: .member,
                joinedAt: RoomsProbe.time),
        ]
        let participants =
            #"{"user_id":"ann","username":"Ann","online":true},{"user_id":"ann","username":"A\"},{","online":false,"guest":true}"#
        let said = [Message.sent(6), .sent(7, by: "bob").deleted(revision: 9)]
        let state = RoomsFrame.state(
            "r", head: 7,
            RoomsFrame.messageFields(6, in: "r") + ","
                + #"{"id":"7","room_id":"r","user_id":"bob","username":"bob","content":"","timestamp":"\#(RoomsFrame.instant)","is_edited":false,"is_deleted":true}"#,
            participants: participants, isActive: false)
        for ack in [nil, 5] {
            var probe = RoomsProbe.ann()
            #expect(
                probe.emit("join_room", #"{"room_id":"r","username":"Eve"}"#, ack: ack) == [
                    Self.enter
                ])
            #expect(probe.tracksDeliveries, "of who is joining is kept what it was shown")
            #expect(probe.answer(.joined(.at(7))) == [Self.describe])
            // An ended one can be read.
            #expect(
                probe.answer(.described(.room(head: 7, members: members, isEnded: true))) == [
                    Self.read
                ])
            #expect(
                probe.page(.of(said, head: 7))
                    == (ack == nil ? [] : [#"435[{"ok":true,\#(state)}]"#]) + [
                        #"42["conversation_state",{\#(state)}]"#, RoomsFrame.offset("r=7"),
                    ])
            #expect(
                !probe.tracksDeliveries,
                "whom a token names, and who is in one room, gets the same as all others there")
        }
    }

    @Test("is shown with everything that came before, and nothing that comes after")
    func messagesDuringJoin() {
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.joined(.at(2)))
        // Said while it was let in, and while its page was read: 5 is stored and not yet shown.
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

    @Test("is shown with its newest fifty messages, however many come meanwhile")
    func newestFifty() throws {
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.joined(.at(50)))
        _ = probe.answer(.described(.room(head: 50)))
        for sequence in 51...200 { #expect(probe.deliver(.sent(sequence), in: "r").isEmpty) }
        let messages = (151...200).map { RoomsFrame.messageFields($0, in: "r") }.joined(
            separator: ",")
        #expect(
            probe.page(.of((1...50).map { Message.sent($0) }, head: 50)) == [
                RoomsFrame.stateEvent("r", head: 200, messages), RoomsFrame.offset("r=200"),
            ])
    }

    @Test("that is joined twice is shown again, under another name after that is told")
    func secondJoin() {
        var probe = RoomsProbe.ann(in: "r")
        #expect(probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1) == [Self.describe])
        #expect(probe.tracksDeliveries)
        #expect(
            probe.startTrackingDeliveries(("r", 3)).isEmpty, "who is joining is told behind that")
        #expect(probe.answer(.described(.room(head: 3))) == [Self.read])
        #expect(
            probe.page(.of([.sent(3)], head: 3)) == [
                #"431[{"ok":true,\#(RoomsFrame.state("r", head: 3, RoomsFrame.messageFields(3, in: "r")))}]"#,
                RoomsFrame.stateEvent("r", head: 3, RoomsFrame.messageFields(3, in: "r")),
                RoomsFrame.offset("r=3"),
            ])
        #expect(!probe.tracksDeliveries)
        // Before the connection is counted among those of whom that is kept: it hears the room, and so was shown what the owner told of.
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.described(.room(head: 6)))
        #expect(
            probe.page(.of([.sent(6), .sent(7)], head: 7)) == [
                RoomsFrame.stateEvent("r", head: 6, RoomsFrame.messageFields(6, in: "r")),
                RoomsFrame.offset("r=6"),
            ])

        var stranger = RoomsProbe.anonymous()
        _ = stranger.join("r", as: #","user_id":"bob","username":"Bob""#)
        #expect(
            stranger.emit("join_room", #"{"room_id":"r","username":"Bob"}"#) == [
                "describe for anonymous bob guests none in default/r"
            ])
        _ = stranger.answer(.described(.room(head: 0)))
        _ = stranger.page(.of([], head: 0))
        #expect(
            stranger.emit("join_room", #"{"room_id":"r","user_id":"bob","username":"Robert"}"#) == [
                "join rooms by anonymous bob in default/r"
            ])
        #expect(
            stranger.answer(.joined(.at(0))) == [
                "describe for anonymous bob guests none in default/r"
            ])
        #expect(stranger.session.principal?.person.name == "Robert")
    }

    @Test("that is being joined is joined once, however often that is asked for")
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
        // Sixteen wait.
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
            "and again when it is asked for again")
    }

    @Test("that cannot be entered says so once to each who asked")
    func failures() {
        let words = "room_id: there is no such conversation, or you may not enter it"
        for error in [ChatError.accessDenied, .noSuchConversation] {
            var probe = RoomsProbe.ann()
            _ = probe.emit("join_room", #"{"room_id":"r"}"#)
            #expect(probe.answer(.failed(error)) == [RoomsFrame.error(words, "join_room")])
            #expect(!probe.tracksDeliveries)
            _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
            _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 2)
            #expect(
                probe.answer(.failed(error)) == [
                    RoomsFrame.refusal(1, words), RoomsFrame.refusal(2, words),
                ])
            _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
            _ = probe.emit("join_room", #"{"room_id":"r"}"#)
            #expect(
                probe.answer(.failed(error)) == [
                    RoomsFrame.refusal(1, words), RoomsFrame.error(words, "join_room"),
                ])
            #expect(probe.emit("join_room", #"{"room_id":"r"}"#) == [Self.enter])
        }
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        #expect(
            probe.answer(.failed(.tooManyMembers(limit: 5))) == [
                RoomsFrame.error("the conversation has its 5 members", "join_room")
            ])
    }

    @Test("that cannot be shown is left again, unless the connection was in it")
    func unreadableState() {
        let words = "the history cannot be read at the moment; try again"
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
        _ = probe.answer(.joined(.at(0)))
        _ = probe.answer(.described(.room(head: 0)))
        #expect(probe.page(nil) == ["leave tenant/r", RoomsFrame.refusal(1, words)])
        _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
        _ = probe.answer(.joined(.at(0)))
        #expect(
            probe.answer(.failed(.unavailable)) == [
                "leave tenant/r",
                RoomsFrame.refusal(1, "the message could not be stored; try again"),
            ])
        _ = probe.join("r")
        _ = probe.emit("join_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.described(.room(head: 0)))
        #expect(
            probe.page(nil) == [RoomsFrame.error(words, "join_room"), RoomsFrame.offset("r=0")])
        #expect(probe.emit("join_room", #"{"room_id":"r"}"#) == [Self.describe])
    }

    @Test(
        "too many that cannot be entered takes nothing from the others: how far they have come is told again"
    )
    func tooManyRooms() {
        var probe = RoomsProbe.ann(in: "r0")
        for number in 1..<16 { _ = probe.join("r\(number)") }
        _ = probe.emit("join_room", #"{"room_id":"s"}"#)
        #expect(probe.deliver(.sent(7), in: "r0").isEmpty, "with so many rooms nobody can go on")
        let places = (["r0=7"] + (1..<16).map { "r\($0)=0" }).sorted {
            $0.prefix { $0 != "=" } < $1.prefix { $0 != "=" }
        }
        #expect(
            probe.answer(.failed(.accessDenied)).last
                == RoomsFrame.offset(places.joined(separator: ",")))
        _ = probe.emit("join_room", #"{"room_id":"r0"}"#)
        #expect(probe.startTrackingDeliveries(("r0", 9)).isEmpty)
        #expect(
            probe.answer(.failed(.unavailable)).last
                == RoomsFrame.offset(places.joined(separator: ",").replacing("r0=7", with: "r0=9")))
    }

    @Test(
        "that is left tells the one who asked by the answer alone, and what is left of its places")
    func ownLeave() {
        for ack in [nil, 4] {
            var probe = RoomsProbe.ann(in: "r")
            #expect(
                probe.emit("leave_room", #"{"room_id":"r"}"#, ack: ack) == ["part ann in tenant/r"])
            #expect(
                probe.perform { $0.leftConversation(.rooms("tenant", "r"), into: &$1) } == [
                    RoomsFrame.offset("")
                ])
            #expect(probe.answer(.done) == (ack == nil ? [] : [#"434[{"ok":true}]"#]))
        }
        // One that could not be done is none.
        var probe = RoomsProbe.ann(in: "r")
        _ = probe.emit("leave_room", #"{"room_id":"r"}"#)
        _ = probe.answer(.failed(.unavailable))
        let told = probe.perform { session, steps in
            steps.now = RoomsProbe.time
            session.leftConversation(.rooms("tenant", "r"), into: &steps)
        }
        #expect(
            told == [
                RoomsFrame.joinedOrLeft("user_left", "ann", "Ann", in: "r"), RoomsFrame.offset(""),
            ])
    }

    @Test(
        "that is left by another connection tells its former participant, and what is left of its places"
    )
    func leaveElsewhere() {
        var probe = RoomsProbe.ann(in: "r", "s")
        // The gateway says where the connection stood when it was one among all.
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
        // By another connection of the same user, while this one is shown in.
        _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 5)
        _ = probe.answer(.joined(.at(0)))
        let place = probe.tags.count - 1
        #expect(
            left(&probe, "r") == [
                RoomsFrame.refusal(5, "room_id: the room was left meanwhile"),
                RoomsFrame.error("room_id: the room was left meanwhile", "join_room"),
                RoomsFrame.joinedOrLeft("user_left", "ann", "Ann", in: "r"), RoomsFrame.offset(""),
            ])
        #expect(probe.answer(.described(.room(head: 0)), to: place).isEmpty)
        #expect(probe.answer(.failed(.notAMember), to: place).isEmpty)
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [Self.enter],
            "it is not taken for one that is heard")
        #expect(
            probe.answer(.described(.room(head: 0)), to: place).isEmpty,
            "nor the old answer for the new one's")
    }

    @Test("is heard no more where its joiner has gone while it was let in")
    func leftDuringJoin() {
        var probe = RoomsProbe.ann()
        _ = probe.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
        _ = probe.perform { $0.tokenExpired(into: &$1) }
        #expect(probe.answer(.joined(.at(0))) == ["leave tenant/r"])
        var other = RoomsProbe.ann()
        _ = other.emit("join_room", #"{"room_id":"r"}"#, ack: 1)
        _ = other.answer(.joined(.at(0)))
        _ = other.answer(.described(.room(head: 0)))
        #expect(other.send("1") == ["leave tenant/r"])
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
                "describe for ann guests none in tenant/r7"
            ])
        #expect(probe.deliver(.sent(1), in: "r5").isEmpty, "nobody goes on in so many")
        _ = probe.perform { $0.leftConversation(.rooms("tenant", "r5"), into: &$1) }
        #expect(probe.emit("join_room", #"{"room_id":"more"}"#).count == 1)
    }
}

@Suite("Who has no token")
struct AnonymousRoomsTests {
    @Test("says with the first room who it is, and is that from then on")
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
            probe.session.principal?.person.id == UserID(anonymous: "ann"),
            "not the ann whom a token names")
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
        "goes by its id where it has no other name, and has to have an id",
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
                    "user_id: must be 1 to 128 characters without control characters", "join_room")
            ),
            (
                #""user_id":"\u0001ann""#,
                RoomsFrame.error(
                    "user_id: must be 1 to 128 characters without control characters", "join_room")
            ),
            (
                #""user_id":"\#(String(repeating: "x", count: 129))""#,
                RoomsFrame.error(
                    "user_id: must be 1 to 128 characters without control characters", "join_room")
            ),
            (
                #""user_id":"ann","username":"""#,
                RoomsFrame.error(
                    "username: must be 1 to 128 characters without control characters", "join_room")
            ),
            (
                #""user_id":"ann","username":"a\u001eb""#,
                RoomsFrame.error(
                    "username: must be 1 to 128 characters without control characters", "join_room")
            ),
            (
                #""user_id":"ann","username":[]"#,
                RoomsFrame.error("username: must be a string", "join_room")
            ),
        ])
    func invalidIdentity(_ who: String, _ step: String) {
        var probe = RoomsProbe.anonymous()
        #expect(probe.emit("join_room", #"{"room_id":"r",\#(who)}"#) == [step])
        #expect(
            (probe.session.principal != nil) == step.hasPrefix("enter"),
            "whoever is refused is nobody yet")
    }

    @Test("hears where it stands, with who it is, behind every message")
    func offsets() {
        var probe = RoomsProbe.anonymous()
        // `Ann B` and `a~;,=`.
        let who = "~QW5uIEI.YX47LD0;"
        #expect(
            probe.join("r", as: #","user_id":"a~;,=","username":"Ann B""#, head: 3).last
                == RoomsFrame.offset("\(who)r=3"))
        #expect(probe.tracksDeliveries)
        #expect(probe.deliver(.sent(4), in: "r") == [RoomsFrame.offset("\(who)r=4")])
        #expect(probe.join("q").last == RoomsFrame.offset("\(who)q=0,r=4"))
        #expect(probe.deliver(.sent(5), in: "r") == [RoomsFrame.offset("\(who)q=0,r=5")])
        #expect(
            probe.perform { $0.leftConversation(.rooms("default", "q"), into: &$1) }.last
                == RoomsFrame.offset("\(who)r=5"))
        #expect(
            probe.perform { $0.leftConversation(.rooms("default", "r"), into: &$1) }.last
                == RoomsFrame.offset(who))
    }
}
