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

    /// The ids from the answer to CONNECT.
    private static func ids(_ probe: RoomsProbe) throws -> (sid: String, pid: String) {
        var probe = probe
        return try #require(RoomsFrame.connected(probe.send("0")))
    }

    /// Whether the steps are those of a new session, and not of a resumed one.
    private static func isNewSession(_ steps: [String], otherThan ids: (sid: String, pid: String))
        -> Bool
    {
        guard let new = RoomsFrame.connected(steps) else { return false }
        return new.sid != ids.sid && new.pid != ids.pid
            && Array(steps.dropFirst()) == [RoomsFrame.offset("")]
    }

    @Test("resumes in its room with the same ids, from its position")
    func oneRoom() throws {
        let ids = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann(grants: .none))
        #expect(
            probe.send(Self.connect(ids.pid, "r=17")) == [
                #"40{"sid":"\#(ids.sid)","pid":"\#(ids.pid)"}"#, RoomsFrame.offset("r=17"),
                "enter tenant/r as ann Ann unlisted rooms after 17",
            ])
        #expect(!probe.tracksDeliveries)
        #expect(
            probe.answer(.joined(.at(20))).isEmpty,
            "missed messages follow as events")
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [
                "describe for ann access membersOnly in tenant/r"
            ])
    }

    @Test("resumes in several rooms, all of which stay in the offset")
    func severalRooms() throws {
        let ids = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        #expect(
            probe.send(Self.connect(ids.pid, "u.b.c=4,a=0")) == [
                #"40{"sid":"\#(ids.sid)","pid":"\#(ids.pid)"}"#,
                RoomsFrame.offset("a=0,u.b.c=4"),
                "enter tenant/u.b.c as ann Ann listed rooms after 4",
                "enter tenant/a as ann Ann listed rooms after 0",
            ])
        #expect(probe.tracksDeliveries)
        #expect(
            probe.startTrackingDeliveries(("a", 0), ("u.b.c", 4)).isEmpty, "the offset is unchanged"
        )
        #expect(probe.answer(.joined(.at(2)), to: 1).isEmpty)
        #expect(probe.deliver(.sent(1), in: "a") == [RoomsFrame.offset("a=1,u.b.c=4")])
        #expect(probe.answer(.joined(.at(4)), to: 0).isEmpty)
        #expect(probe.deliver(.sent(2), in: "a") == [RoomsFrame.offset("a=2,u.b.c=4")])
        // The store may assign the numbers of forgotten messages again.
        #expect(probe.deliver(.sent(3), in: "u.b.c") == [RoomsFrame.offset("a=2,u.b.c=3")])
    }

    @Test("does not resume after DISCONNECT, on this node or on one that was notified")
    func closedSession() throws {
        let node = RoomsDialect(key: RoomsProbe.key)
        var probe = RoomsProbe(.ann(grants: .all), at: node)
        let ids = try #require(RoomsFrame.connected(probe.send("0")))
        _ = probe.send("1")
        #expect(probe.broadcasts == [ids.sid])
        var again = RoomsProbe(.ann(grants: .all), at: node)
        #expect(Self.isNewSession(again.send(Self.connect(ids.pid, "r=1")), otherThan: ids))

        let other = RoomsDialect(key: RoomsProbe.key)
        var before = RoomsProbe(.ann(grants: .all), at: other)
        #expect(
            RoomsFrame.connected(before.send(Self.connect(ids.pid, "r=1")))?.sid == ids.sid)
        other.receiveBroadcast(ids.sid)
        var after = RoomsProbe(.ann(grants: .all), at: other)
        #expect(Self.isNewSession(after.send(Self.connect(ids.pid, "r=1")), otherThan: ids))
    }

    @Test("of many that disconnected is remembered if it was one of the last")
    func closedSessionLimit() {
        let farewells = ClosedSessions(limit: 100)
        for number in 1...1000 { farewells.insert("\(number)") }
        #expect(farewells.contains("1000") && farewells.contains("960") && !farewells.contains("1"))
        farewells.insert(String(repeating: "x", count: 65))
        #expect(!farewells.contains(String(repeating: "x", count: 65)))
    }

    @Test("gets a new session with an offset without rooms: it may be older than the first join")
    func offsetWithoutRoom() throws {
        for credentials in [Credentials.ann(), .none] {
            let ids = try Self.ids(RoomsProbe(credentials, allowsAnonymous: true))
            for offset in ["", "~YW5u.YW5u;"] {
                var probe = RoomsProbe(credentials, allowsAnonymous: true)
                #expect(
                    Self.isNewSession(probe.send(Self.connect(ids.pid, offset)), otherThan: ids))
            }
        }
    }

    @Test("gets a new session with an offset from before a join or a leave, on all nodes")
    func staleOffset() throws {
        let node = RoomsDialect(key: RoomsProbe.key)
        var probe = RoomsProbe(.ann(), at: node)
        let ids = try #require(RoomsFrame.connected(probe.send("0")))
        _ = probe.join("a")
        #expect(probe.broadcasts.isEmpty, "the offset before the first room lists none")
        func resume(_ offset: String, at node: RoomsDialect) -> [String] {
            var probe = RoomsProbe(.ann(), at: node)
            return probe.send(Self.connect(ids.pid, offset))
        }
        #expect(RoomsFrame.connected(resume("a=0", at: node))?.sid == ids.sid)

        // The room counts from the moment of the request.
        _ = probe.emit("join_room", #"{"room_id":"b"}"#)
        let other = RoomsDialect(key: RoomsProbe.key)
        for text in probe.broadcasts { other.receiveBroadcast(text) }
        for node in [node, other] {
            #expect(Self.isNewSession(resume("a=0", at: node), otherThan: ids))
            #expect(RoomsFrame.connected(resume("a=0,b=0", at: node))?.sid == ids.sid)
        }
        _ = probe.answer(.failed(.accessDenied))
        for text in probe.broadcasts { other.receiveBroadcast(text) }
        for node in [node, other] {
            #expect(RoomsFrame.connected(resume("a=0", at: node))?.sid == ids.sid)
        }

        _ = probe.join("c")
        _ = probe.perform { $0.leftConversation(.rooms("tenant", "a"), into: &$1) }
        for text in probe.broadcasts { other.receiveBroadcast(text) }
        for node in [node, other] {
            #expect(Self.isNewSession(resume("a=0,c=0", at: node), otherThan: ids))
            #expect(RoomsFrame.connected(resume("c=0", at: node))?.sid == ids.sid)
        }
        // A node that missed the broadcast accepts the offset.
        #expect(
            RoomsFrame.connected(resume("a=0", at: RoomsDialect(key: RoomsProbe.key)))?.sid
                == ids.sid)
    }

    @Test("of many is remembered with its rooms if it was one of the last")
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

    @Test("without a token has the same identity again")
    func anonymousUser() throws {
        let ids = try Self.ids(RoomsProbe(.none, allowsAnonymous: true))
        var probe = RoomsProbe(.none, allowsAnonymous: true)
        let offset = "~QW5uIEI.YX47LD0;q=0,r=5"
        #expect(
            probe.send(Self.connect(ids.pid, offset)) == [
                #"40{"sid":"\#(ids.sid)","pid":"\#(ids.pid)"}"#, RoomsFrame.offset(offset),
                "enter default/q as anonymous a~;,= Ann B unlisted rooms after 0",
                "enter default/r as anonymous a~;,= Ann B unlisted rooms after 5",
            ])
        let user = try #require(probe.session.principal?.person.id)
        #expect(user.name == "a~;,=" && user.isConnectionGuest)
        #expect(probe.tracksDeliveries)
        // A server without anonymous users resumes none.
        var closed = RoomsProbe(.none)
        #expect(
            closed.send(Self.connect(ids.pid, offset)) == [
                #"44{"message":"a token is required"}"#
            ])
    }

    @Test("gets a new session if its recovery token is another user's or another cluster's")
    func tokens() throws {
        let ids = try Self.ids(RoomsProbe(.ann()))
        let eve = Credentials.bearer(Identity(user: "eve", tenant: "tenant"))
        let elsewhere = Credentials.bearer(Identity(user: "ann", tenant: "elsewhere"))
        for other in [eve, elsewhere] {
            var probe = RoomsProbe(other)
            #expect(Self.isNewSession(probe.send(Self.connect(ids.pid, "r=1")), otherThan: ids))
        }
        // The recovery token of a token's user is not valid for an anonymous user of the same name.
        for offset in ["r=1", "~YW5u.YW5u;r=1", ""] {
            var probe = RoomsProbe(.none, allowsAnonymous: true)
            #expect(Self.isNewSession(probe.send(Self.connect(ids.pid, offset)), otherThan: ids))
            #expect(probe.session.principal == nil)
        }
        let strange = try Self.ids(RoomsProbe(.none, allowsAnonymous: true))
        var named = RoomsProbe(.bearer(Identity(user: "ann")), allowsAnonymous: true)
        #expect(Self.isNewSession(named.send(Self.connect(strange.pid, "r=1")), otherThan: strange))

        var otherCluster = RoomsProbe(
            .ann(), key: RecoveryKey(derivedFrom: Array("secret".utf8), cluster: "other"))
        #expect(Self.isNewSession(otherCluster.send(Self.connect(ids.pid, "r=1")), otherThan: ids))
        var otherSecret = RoomsProbe(
            .ann(), key: RecoveryKey(derivedFrom: Array("Secret".utf8), cluster: "test"))
        #expect(Self.isNewSession(otherSecret.send(Self.connect(ids.pid, "r=1")), otherThan: ids))

        let pid = Array(ids.pid)
        var spoilt = [
            "", ".", "x", "\(ids.pid).", ".\(ids.pid)", "\(ids.pid)=",
            String(repeating: "x", count: 5000),
        ]
        for count in pid.indices { spoilt.append(String(pid.prefix(count))) }
        for index in pid.indices {
            spoilt.append(
                String(pid[..<index]) + (pid[index] == "A" ? "B" : "A")
                    + String(pid[(index + 1)...]))
        }
        for pid in spoilt {
            var probe = RoomsProbe(.ann())
            #expect(
                Self.isNewSession(probe.send(Self.connect(pid, "r=1")), otherThan: ids), "\(pid)")
        }
    }

    @Test(
        "gets a new session if its offset is not its own",
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
        let ids = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        #expect(Self.isNewSession(probe.send(Self.connect(ids.pid, offset)), otherThan: ids))
        // This offset is valid for an anonymous user.
        guard offset != "~YW5u.YW5u;r=1" else { return }
        let strange = try Self.ids(RoomsProbe(.none, allowsAnonymous: true))
        var anonymousUser = RoomsProbe(.none, allowsAnonymous: true)
        #expect(
            Self.isNewSession(
                anonymousUser.send(Self.connect(strange.pid, offset)), otherThan: strange))
    }

    @Test("without an identity was in no room")
    func anonymousWithoutRoom() throws {
        let ids = try Self.ids(RoomsProbe(.none, allowsAnonymous: true))
        var probe = RoomsProbe(.none, allowsAnonymous: true)
        #expect(Self.isNewSession(probe.send(Self.connect(ids.pid, "r=1")), otherThan: ids))
    }

    @Test("is notified of a room that it may no longer enter, and of one that has ended")
    func changedRooms() throws {
        let ids = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        _ = probe.send(Self.connect(ids.pid, "r=1,s=2"))
        #expect(
            probe.answer(.failed(.accessDenied), to: 0) == [
                RoomsFrame.error("room_id: r cannot be entered again: access denied"),
                RoomsFrame.offset("s=2"),
            ])
        let ended = ConversationEnd(by: UserID(tokenSubject: "bob"), at: RoomsProbe.time)
        #expect(
            probe.answer(.joined(.at(2, ended: ended)), to: 1) == [
                #"""
                42["conversation_ended",{"room_id":"s","ended_by":"bob",\#
                "timestamp":"\#(RoomsFrame.instant)"}]
                """#
            ])
        #expect(!probe.tracksDeliveries)
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [
                "enter tenant/r as ann Ann listed rooms from now"
            ])
    }

    @Test("is closed if a room is unavailable, and misses nothing when it returns")
    func unavailable() throws {
        let ids = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        _ = probe.send(Self.connect(ids.pid, "r=1"))
        #expect(
            probe.answer(.failed(.unavailable)) == [
                "close 1013 a room cannot be entered at the moment; try again"
            ])
    }

    @Test("and that leaves while it resumes is unsubscribed")
    func leftDuringRecovery() throws {
        let ids = try Self.ids(RoomsProbe(.ann()))
        var probe = RoomsProbe(.ann())
        _ = probe.send(Self.connect(ids.pid, "r=1"))
        #expect(probe.send("1") == ["unsubscribe tenant/r"])
        #expect(probe.answer(.joined(.at(5))) == ["unsubscribe tenant/r"])
        _ = probe.send("0")
        #expect(probe.answer(.failed(.accessDenied)).isEmpty)
    }

    @Test("receives an offset for each message in several rooms, as far as it can resume")
    func offsetsInSeveralRooms() {
        var probe = RoomsProbe.ann(in: "r")
        #expect(!probe.tracksDeliveries)
        _ = probe.emit("join_room", #"{"room_id":"q"}"#)
        #expect(probe.tracksDeliveries)
        #expect(probe.startTrackingDeliveries(("r", 3)).isEmpty)
        #expect(
            probe.deliver(.sent(4), in: "r") == [RoomsFrame.offset("r=4")],
            "a pending room is not in it")
        _ = probe.answer(.joined(.at(7)))
        _ = probe.answer(.described(.room(head: 7)))
        #expect(probe.page(.of([], head: 7)).last == RoomsFrame.offset("q=7,r=4"))
        #expect(probe.deliver(.sent(8), in: "q") == [RoomsFrame.offset("q=8,r=4")])
        #expect(probe.deliver(.sent(8), in: "elsewhere").isEmpty)
        for number in 0..<14 { _ = probe.join("x\(number)") }
        #expect(probe.deliver(.sent(9), in: "q").first?.contains("q=9,r=4,x0=0") == true)
        #expect(probe.join("y").last == RoomsFrame.offset("-"), "the seventeenth room")
        #expect(probe.deliver(.sent(10), in: "q").isEmpty)
        #expect(
            probe.perform { $0.leftConversation(.rooms("tenant", "y"), into: &$1) }.last?.contains(
                "q=10,r=4,x0=0") == true)
    }

    @Test("receives its offset when its position is known")
    func startedTrackingDeliveries() {
        var probe = RoomsProbe.ann(in: "r", "s")
        #expect(probe.startTrackingDeliveries(("elsewhere", 9)).isEmpty)
        #expect(probe.startTrackingDeliveries(("r", 3), ("s", 0)) == [RoomsFrame.offset("r=3,s=0")])
        #expect(
            probe.startTrackingDeliveries(("r", 3), ("s", 0)).isEmpty, "the position is unchanged")
    }

    @Test("parses what was written for it")
    func parsing() {
        let anonymousUser = Person(
            id: UserID(anonymous: .init(String(repeating: "\u{10FFFF}", count: 128))),
            name: .init(String(repeating: "é", count: 128)))
        let positions = (0..<16).map {
            RoomOffset.RoomPosition(
                room: .init(String(repeating: "\($0 % 10)", count: 126) + "\($0)".suffix(2)),
                through: .max)
        }
        for offset in [
            RoomOffset(anonymousUser: anonymousUser, positions: positions),
            RoomOffset(positions: positions),
            RoomOffset(anonymousUser: anonymousUser, positions: []),
            RoomOffset(positions: []), RoomOffset(room: "u.a", through: 0),
        ] {
            #expect(RoomOffset(offset.text) == offset)
        }
        let token = RecoveryToken(
            sid: "s", tenant: .init(String(repeating: "t", count: 64)),
            user: UserID(tokenSubject: anonymousUser.name))
        #expect(RecoveryToken(token.text(RoomsProbe.key), RoomsProbe.key) == token)
        #expect("\(RoomsProbe.key)" == "a recovery key")
    }
}
