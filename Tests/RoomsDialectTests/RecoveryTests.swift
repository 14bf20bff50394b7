import Bytes
import ChatModel
import DialectKit
import Identity
import Testing

@testable import RoomsDialect

@Suite("A client whose connection broke")
struct RecoveryTests {
    private static func connect(_ pid: String, _ offset: String?) -> String {
        #"0{"pid":"\#(pid)"\#(offset.map { #","offset":"\#($0)""# } ?? "")}"#
    }

    /// What a client has after its CONNECT.
    private static func ids(_ probe: RoomsProbe) throws -> (sid: String, pid: String) {
        var probe = probe
        return try #require(RoomsFrame.connected(probe.send("0")))
    }

    /// The steps of somebody who is not let go on.
    private static func isFresh(_ steps: [String], but ticket: (sid: String, pid: String)) -> Bool {
        guard let fresh = RoomsFrame.connected(steps) else { return false }
        return fresh.sid != ticket.sid && fresh.pid != ticket.pid
            && Array(steps.dropFirst()) == [RoomsFrame.offset("")]
    }

    @Test("goes on in its room under the same ids, from where it was")
    func oneRoom() throws {
        let ticket = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann(grants: .none))
        #expect(
            probe.send(Self.connect(ticket.pid, "r=17")) == [
                #"40{"sid":"\#(ticket.sid)","pid":"\#(ticket.pid)"}"#, RoomsFrame.offset("r=17"),
                "enter tenant/r as ann Ann unlisted rooms after 17",
            ])
        #expect(!probe.tracksDeliveries)
        #expect(
            probe.answer(.joined(.at(20))).isEmpty,
            "what it missed is shown by itself, as it would have been")
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [
                "describe for ann guests none in tenant/r"
            ])
    }

    @Test("goes on in several rooms, none of which is forgotten should it break again")
    func severalRooms() throws {
        let ticket = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        #expect(
            probe.send(Self.connect(ticket.pid, "u.b.c=4,a=0")) == [
                #"40{"sid":"\#(ticket.sid)","pid":"\#(ticket.pid)"}"#,
                RoomsFrame.offset("a=0,u.b.c=4"),
                "enter tenant/u.b.c as ann Ann listed rooms after 4",
                "enter tenant/a as ann Ann listed rooms after 0",
            ])
        #expect(probe.tracksDeliveries)
        #expect(probe.startTrackingDeliveries(("a", 0), ("u.b.c", 4)).isEmpty, "that was said")
        #expect(probe.answer(.joined(.at(2)), to: 1).isEmpty)
        #expect(probe.deliver(.sent(1), in: "a") == [RoomsFrame.offset("a=1,u.b.c=4")])
        #expect(probe.answer(.joined(.at(4)), to: 0).isEmpty)
        #expect(probe.deliver(.sent(2), in: "a") == [RoomsFrame.offset("a=2,u.b.c=4")])
        // Of messages that the store has forgotten the numbers are given again.
        #expect(probe.deliver(.sent(3), in: "u.b.c") == [RoomsFrame.offset("a=2,u.b.c=3")])
    }

    @Test("does not go on where it has said goodbye, at this node or at another that was told")
    func closedSession() throws {
        let node = RoomsDialect(key: RoomsProbe.key)
        var probe = RoomsProbe(.ann(grants: .all), at: node)
        let ticket = try #require(RoomsFrame.connected(probe.send("0")))
        _ = probe.send("1")
        #expect(probe.broadcasts == [ticket.sid])
        var again = RoomsProbe(.ann(grants: .all), at: node)
        #expect(Self.isFresh(again.send(Self.connect(ticket.pid, "r=1")), but: ticket))

        let other = RoomsDialect(key: RoomsProbe.key)
        var before = RoomsProbe(.ann(grants: .all), at: other)
        #expect(
            RoomsFrame.connected(before.send(Self.connect(ticket.pid, "r=1")))?.sid == ticket.sid)
        other.receiveBroadcast(ticket.sid)
        var after = RoomsProbe(.ann(grants: .all), at: other)
        #expect(Self.isFresh(after.send(Self.connect(ticket.pid, "r=1")), but: ticket))
    }

    @Test("of very many that said goodbye the last ones are remembered")
    func closedSessionLimit() {
        let farewells = ClosedSessions(limit: 100)
        for number in 1...1000 { farewells.insert("\(number)") }
        #expect(farewells.contains("1000") && farewells.contains("960") && !farewells.contains("1"))
        farewells.insert(String(repeating: "x", count: 65))
        #expect(!farewells.contains(String(repeating: "x", count: 65)))
    }

    @Test("is a fresh one with an offset that lists no room: it may be from before the first")
    func offsetWithoutRoom() throws {
        for credentials in [Credentials.ann(), .none] {
            let ticket = try Self.ids(RoomsProbe(credentials, allowsAnonymous: true))
            for offset in ["", "~YW5u.YW5u;"] {
                var probe = RoomsProbe(credentials, allowsAnonymous: true)
                #expect(Self.isFresh(probe.send(Self.connect(ticket.pid, offset)), but: ticket))
            }
        }
    }

    @Test(
        "is a fresh one with an offset from before a room was joined or left, at this node and at others"
    )
    func staleOffset() throws {
        let node = RoomsDialect(key: RoomsProbe.key)
        var probe = RoomsProbe(.ann(), at: node)
        let ticket = try #require(RoomsFrame.connected(probe.send("0")))
        _ = probe.join("a")
        #expect(probe.broadcasts.isEmpty, "the offset from before the first room lists none")
        func goOn(_ offset: String, at node: RoomsDialect) -> [String] {
            var probe = RoomsProbe(.ann(), at: node)
            return probe.send(Self.connect(ticket.pid, offset))
        }
        #expect(RoomsFrame.connected(goOn("a=0", at: node))?.sid == ticket.sid)

        // It counts as there from the moment at which it asks.
        _ = probe.emit("join_room", #"{"room_id":"b"}"#)
        let other = RoomsDialect(key: RoomsProbe.key)
        for word in probe.broadcasts { other.receiveBroadcast(word) }
        for node in [node, other] {
            #expect(Self.isFresh(goOn("a=0", at: node), but: ticket))
            #expect(RoomsFrame.connected(goOn("a=0,b=0", at: node))?.sid == ticket.sid)
        }
        _ = probe.answer(.failed(.accessDenied))
        for word in probe.broadcasts { other.receiveBroadcast(word) }
        for node in [node, other] {
            #expect(RoomsFrame.connected(goOn("a=0", at: node))?.sid == ticket.sid)
        }

        _ = probe.join("c")
        _ = probe.perform { $0.leftConversation(.rooms("tenant", "a"), into: &$1) }
        for word in probe.broadcasts { other.receiveBroadcast(word) }
        for node in [node, other] {
            #expect(Self.isFresh(goOn("a=0,c=0", at: node), but: ticket))
            #expect(RoomsFrame.connected(goOn("c=0", at: node))?.sid == ticket.sid)
        }
        // A node that was not told believes the offset.
        #expect(
            RoomsFrame.connected(goOn("a=0", at: RoomsDialect(key: RoomsProbe.key)))?.sid
                == ticket.sid)
    }

    @Test(
        "of very many sessions the last ones' rooms are remembered, and of those with too many rooms that they are"
    )
    func sessionRooms() {
        let rooms = SessionRooms(limit: 100)
        for number in 1...1000 {
            rooms.record(SessionRooms.broadcastText("\(number)", in: ["a", "b"]))
        }
        #expect(
            rooms.matches(["b", "a"], of: "1000") && !rooms.matches(["a"], of: "1000")
                && rooms.matches(["a"], of: "1"))
        #expect(!rooms.record("sid") && !rooms.record("sid " + String(repeating: "x", count: 65)))
        let many = (1...17).map { ByteString("\($0)") }
        rooms.record(SessionRooms.broadcastText("s", in: many))
        #expect(!rooms.matches(many.prefix(16), of: "s"))
    }

    @Test("without a token is again who it said to be")
    func anonymousUser() throws {
        let ticket = try Self.ids(RoomsProbe(.none, allowsAnonymous: true))
        var probe = RoomsProbe(.none, allowsAnonymous: true)
        let offset = "~QW5uIEI.YX47LD0;q=0,r=5"
        #expect(
            probe.send(Self.connect(ticket.pid, offset)) == [
                #"40{"sid":"\#(ticket.sid)","pid":"\#(ticket.pid)"}"#, RoomsFrame.offset(offset),
                "enter default/q as anonymous a~;,= Ann B unlisted rooms after 0",
                "enter default/r as anonymous a~;,= Ann B unlisted rooms after 5",
            ])
        #expect(probe.session.principal?.person.id == UserID(anonymous: "a~;,="))
        #expect(probe.tracksDeliveries)
        // Where nobody comes in without a token nobody goes on without one.
        var closed = RoomsProbe(.none)
        #expect(
            closed.send(Self.connect(ticket.pid, offset)) == [
                #"44{"message":"a token is required"}"#
            ])
    }

    @Test("is a fresh one where its pass is not its own, or not ours")
    func tokens() throws {
        let ticket = try Self.ids(RoomsProbe(.ann()))
        let eve = Credentials.bearer(Identity(user: "eve", tenant: "tenant"))
        let elsewhere = Credentials.bearer(Identity(user: "ann", tenant: "elsewhere"))
        for other in [eve, elsewhere] {
            var probe = RoomsProbe(other)
            #expect(Self.isFresh(probe.send(Self.connect(ticket.pid, "r=1")), but: ticket))
        }
        // Nor is the pass of one whom a token names for a stranger who says to be that one.
        for offset in ["r=1", "~YW5u.YW5u;r=1", ""] {
            var probe = RoomsProbe(.none, allowsAnonymous: true)
            #expect(Self.isFresh(probe.send(Self.connect(ticket.pid, offset)), but: ticket))
            #expect(probe.session.principal == nil)
        }
        let strange = try Self.ids(RoomsProbe(.none, allowsAnonymous: true))
        var named = RoomsProbe(.bearer(Identity(user: "ann")), allowsAnonymous: true)
        #expect(Self.isFresh(named.send(Self.connect(strange.pid, "r=1")), but: strange))

        var otherCluster = RoomsProbe(
            .ann(), key: RecoveryKey(derivedFrom: Array("secret".utf8), cluster: "other"))
        #expect(Self.isFresh(otherCluster.send(Self.connect(ticket.pid, "r=1")), but: ticket))
        var otherSecret = RoomsProbe(
            .ann(), key: RecoveryKey(derivedFrom: Array("Secret".utf8), cluster: "test"))
        #expect(Self.isFresh(otherSecret.send(Self.connect(ticket.pid, "r=1")), but: ticket))

        let pid = Array(ticket.pid)
        var spoilt = [
            "", ".", "x", "\(ticket.pid).", ".\(ticket.pid)", "\(ticket.pid)=",
            String(repeating: "x", count: 5000),
        ]
        for count in pid.indices { spoilt.append(String(pid.prefix(count))) }
        for place in pid.indices {
            spoilt.append(
                String(pid[..<place]) + (pid[place] == "A" ? "B" : "A")
                    + String(pid[(place + 1)...]))
        }
        for pid in spoilt {
            var probe = RoomsProbe(.ann())
            #expect(Self.isFresh(probe.send(Self.connect(pid, "r=1")), but: ticket), "\(pid)")
        }
    }

    @Test(
        "is a fresh one where what it brings is no place of its own",
        arguments: [
            nil, "-", "r", "r=", "=1", "r=x", "r=-1", "r=01", "r=+1", "r=1;", ";r=1", "r=1,r=2",
            "r=99999999999999999999", "r=1=2", "r s=1",
            "@user:ann=1", "~;r=1", "~YW5u;r=1", "~YW5u.YW5u", "~YW5u.YW5u;r=1", "~.;",
            "~YW5u.;r=1", "~YW5u.YQE;r=1", "~YW5u=.YW5u;r=1",
            (1...17).map { "r\($0)=1" }.joined(separator: ","),
            String(repeating: "x", count: 129) + "=1",
            String(repeating: ",", count: 5000),
        ])
    func offsets(_ offset: String?) throws {
        let ticket = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        #expect(Self.isFresh(probe.send(Self.connect(ticket.pid, offset)), but: ticket))
        // What is good for a stranger is so for a stranger.
        guard offset != "~YW5u.YW5u;r=1" else { return }
        let strange = try Self.ids(RoomsProbe(.none, allowsAnonymous: true))
        var stranger = RoomsProbe(.none, allowsAnonymous: true)
        #expect(Self.isFresh(stranger.send(Self.connect(strange.pid, offset)), but: strange))
    }

    @Test("who never said who it is was in no room")
    func anonymousWithoutRoom() throws {
        let ticket = try Self.ids(RoomsProbe(.none, allowsAnonymous: true))
        var probe = RoomsProbe(.none, allowsAnonymous: true)
        #expect(Self.isFresh(probe.send(Self.connect(ticket.pid, "r=1")), but: ticket))
    }

    @Test("is told of a room that it may not enter any more, and of one that was ended")
    func changedRooms() throws {
        let ticket = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        _ = probe.send(Self.connect(ticket.pid, "r=1,s=2"))
        #expect(
            probe.answer(.failed(.accessDenied), to: 0) == [
                RoomsFrame.error("room_id: r cannot be entered again: access denied"),
                RoomsFrame.offset("s=2"),
            ])
        let ended = ConversationEnd(by: UserID(tokenSubject: "bob"), at: RoomsProbe.time)
        #expect(
            probe.answer(.joined(.at(2, ended: ended)), to: 1) == [
                #"42["conversation_ended",{"room_id":"s","ended_by":"bob","timestamp":"\#(RoomsFrame.instant)"}]"#
            ])
        #expect(!probe.tracksDeliveries)
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [
                "enter tenant/r as ann Ann listed rooms from now"
            ])
    }

    @Test(
        "is closed where a room cannot be entered for the moment: it comes again and has missed nothing"
    )
    func unavailable() throws {
        let ticket = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        _ = probe.send(Self.connect(ticket.pid, "r=1"))
        #expect(
            probe.answer(.failed(.unavailable)) == [
                "close 1013 a room cannot be entered at the moment; try again"
            ])
    }

    @Test("and which leaves before it is let in hears nothing")
    func leftDuringRecovery() throws {
        let ticket = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        _ = probe.send(Self.connect(ticket.pid, "r=1"))
        #expect(probe.send("1") == ["leave tenant/r"])
        #expect(probe.answer(.joined(.at(5))) == ["leave tenant/r"])
        _ = probe.send("0")
        #expect(probe.answer(.failed(.accessDenied)).isEmpty)
    }

    @Test(
        "has an offset for each message once it is in more rooms than one, as far as it can go on")
    func offsetsInSeveralRooms() {
        var probe = RoomsProbe.ann(in: "r")
        #expect(!probe.tracksDeliveries)
        _ = probe.emit("join_room", #"{"room_id":"q"}"#)
        #expect(probe.tracksDeliveries)
        #expect(probe.startTrackingDeliveries(("r", 3)).isEmpty)
        #expect(
            probe.deliver(.sent(4), in: "r") == [RoomsFrame.offset("r=4")],
            "the room that is being joined is not in it")
        _ = probe.answer(.joined(.at(7)))
        _ = probe.answer(.described(.room(head: 7)))
        #expect(probe.page(.of([], head: 7)).last == RoomsFrame.offset("q=7,r=4"))
        #expect(probe.deliver(.sent(8), in: "q") == [RoomsFrame.offset("q=8,r=4")])
        #expect(probe.deliver(.sent(8), in: "elsewhere").isEmpty)
        for number in 0..<14 { _ = probe.join("x\(number)") }
        #expect(probe.deliver(.sent(9), in: "q").first?.contains("q=9,r=4,x0=0") == true)
        #expect(probe.join("y").last == RoomsFrame.offset("-"), "the seventeenth")
        #expect(probe.deliver(.sent(10), in: "q").isEmpty)
        #expect(
            probe.perform { $0.leftConversation(.rooms("tenant", "y"), into: &$1) }.last?.contains(
                "q=10,r=4,x0=0") == true)
    }

    @Test("is told where it stands when that is known")
    func startedTrackingDeliveries() {
        var probe = RoomsProbe.ann(in: "r", "s")
        #expect(probe.startTrackingDeliveries(("elsewhere", 9)).isEmpty)
        #expect(probe.startTrackingDeliveries(("r", 3), ("s", 0)) == [RoomsFrame.offset("r=3,s=0")])
        #expect(probe.startTrackingDeliveries(("r", 3), ("s", 0)).isEmpty, "nothing new")
    }

    @Test("brings what was written for it")
    func parsing() {
        let stranger = Person(
            id: UserID(anonymous: .init(String(repeating: "\u{10FFFF}", count: 128))),
            name: .init(String(repeating: "é", count: 128)))
        let places = (0..<16).map {
            RoomOffset.RoomPosition(
                room: .init(String(repeating: "\($0 % 10)", count: 126) + "\($0)".suffix(2)),
                through: .max)
        }
        for offset in [
            RoomOffset(anonymousUser: stranger, positions: places), RoomOffset(positions: places),
            RoomOffset(anonymousUser: stranger, positions: []),
            RoomOffset(positions: []), RoomOffset(room: "u.a", through: 0),
        ] {
            #expect(RoomOffset(offset.text) == offset)
        }
        let pass = RecoveryToken(
            sid: "s", tenant: .init(String(repeating: "t", count: 64)),
            user: UserID(tokenSubject: stranger.name))
        #expect(RecoveryToken(pass.text(RoomsProbe.key), RoomsProbe.key) == pass)
        #expect("\(RoomsProbe.key)" == "a recovery key")
    }
}
