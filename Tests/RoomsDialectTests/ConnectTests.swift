import Bytes
import ChatModel
import DialectKit
import Identity
import RoomsDialect
import Testing

@Suite("A client that connects")
struct ConnectTests {
    private static func refused(_ errorText: String) -> [String] {
        [#"44{"message":"\#(errorText)"}"#]
    }

    @Test(
        "receives its ids and its offset, each time with another id",
        arguments: ["0", "0{}", #"0{"token":null}"#, #"0/,{"more":[1]}"#])
    func accepted(_ packet: String) throws {
        var sids: Set<String> = []
        for _ in 0..<3 {
            var probe = RoomsProbe(.ann())
            let steps = probe.send(packet)
            let ids = try #require(RoomsFrame.connected(steps))
            #expect(Array(steps.dropFirst()) == [RoomsFrame.offset("")])
            #expect(ids.sid.utf8.count == 20)
            sids.insert(ids.sid)
            #expect(probe.wakeAt == nil && !probe.tracksDeliveries)
        }
        #expect(sids.count == 3)
    }

    @Test("without a token is refused and may retry, or is anonymous where that is allowed")
    func anonymous() throws {
        var closed = RoomsProbe(.none)
        #expect(closed.send("0") == Self.refused("a token is required"))
        #expect(closed.send(#"0{"username":"ann"}"#) == Self.refused("a token is required"))
        #expect(closed.send(#"0{"token":"t"}"#) == ["authenticate t"])

        var open = RoomsProbe(.none, allowsAnonymous: true)
        #expect(RoomsFrame.connected(open.send("0")) != nil)
        #expect(open.session.principal == nil && open.session.tenant == "default")
    }

    @Test("with an invalid token in the request is refused, even beside a valid one")
    func badToken() {
        for allowsAnonymous in [false, true] {
            var probe = RoomsProbe(
                .invalid("The token has expired."), allowsAnonymous: allowsAnonymous)
            #expect(probe.send("0") == Self.refused("token: The token has expired."))
            #expect(
                probe.send(#"0{"token":"good"}"#) == Self.refused("token: The token has expired."))
        }
    }

    @Test("may send its token with CONNECT")
    func authToken() {
        var probe = RoomsProbe(.none, allowsAnonymous: true)
        #expect(probe.send(#"0{"token":"first"}"#) == ["authenticate first"])
        #expect(
            probe.perform {
                $0.authenticated(
                    .failure(CredentialError("The token's signature is wrong.")), into: &$1)
            }
                == Self.refused("token: The token's signature is wrong."))
        #expect(probe.session.principal == nil)
        #expect(probe.send(#"0{"token":"second"}"#) == ["authenticate second"])
        let identity = Identity(user: "bob", displayName: "Bob", tenant: "elsewhere")
        #expect(
            RoomsFrame.connected(probe.perform { $0.authenticated(.success(identity), into: &$1) })
                != nil)
        #expect(
            probe.session.principal?.person.id == UserID(tokenSubject: "bob")
                && probe.session.tenant == "elsewhere")
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [
                "enter elsewhere/r as bob Bob unlisted rooms from now"
            ])
    }

    @Test(
        "with a token that is not a string is refused and may retry",
        arguments: ["7", "true", "[]", #"{"a":1}"#])
    func tokenOfWrongType(_ token: String) {
        for allowsAnonymous in [false, true] {
            var probe = RoomsProbe(.none, allowsAnonymous: allowsAnonymous)
            #expect(probe.send(#"0{"token":\#(token)}"#) == Self.refused("token: must be a string"))
            #expect(probe.send(#"0{"token":"t"}"#) == ["authenticate t"])
        }
    }

    @Test(
        "with an invalid CONNECT is refused with an error",
        arguments: [
            (#"{"pid":7,"offset":""}"#, "pid: must be a string"),
            (#"{"pid":"x","offset":["r=1"]}"#, "offset: must be a string"),
            (
                #"{"x":"\ud800"}"#,
                "The JSON is malformed at byte 6: an escaped surrogate stands alone."
            ),
        ])
    func authOfWrongType(_ auth: String, _ errorText: String) {
        var probe = RoomsProbe(.ann())
        #expect(probe.send("0\(auth)") == Self.refused(errorText))
        #expect(RoomsFrame.connected(probe.send("0")) != nil)
    }

    @Test("stays the same user as long as the connection lasts")
    func sameIdentity() {
        var probe = RoomsProbe(.none, allowsAnonymous: true)
        _ = probe.send("0")
        _ = probe.join("r", as: #","user_id":"ann""#)
        #expect(probe.send("1") == ["unsubscribe default/r"])
        // Another user's token must not change the user of this connection.
        _ = probe.send(#"0{"token":"t"}"#)
        let refusal = Self.refused("token: belongs to another user")
        #expect(
            probe.perform { $0.authenticated(.success(Identity(user: "ann")), into: &$1) }
                == refusal)
        #expect(probe.session.principal?.person.id.isConnectionGuest == true)
        #expect(RoomsFrame.connected(probe.send("0")) != nil)

        // The token of one CONNECT does not count for the next CONNECT without a token.
        var named = RoomsProbe(.none, allowsAnonymous: true)
        _ = named.send(#"0{"token":"t"}"#)
        _ = named.perform { $0.authenticated(.success(Identity(user: "ann")), into: &$1) }
        _ = named.send("1")
        #expect(named.send("0") == Self.refused("a token is required"))
        _ = named.send(#"0{"token":"t"}"#)
        #expect(
            named.perform { $0.authenticated(.success(Identity(user: "bob")), into: &$1) }
                == refusal)
        _ = named.send(#"0{"token":"t"}"#)
        let other = Identity(user: "ann", tenant: "elsewhere")
        #expect(named.perform { $0.authenticated(.success(other), into: &$1) } == refusal)
        _ = named.send(#"0{"token":"t"}"#)
        #expect(
            RoomsFrame.connected(
                named.perform { $0.authenticated(.success(Identity(user: "ann")), into: &$1) })
                != nil)
    }

    @Test("twice breaks the rules of Socket.IO")
    func secondConnect() {
        var probe = RoomsProbe.ann()
        #expect(probe.send("0") == ["close 1002 a packet breaks the rules of Socket.IO"])
        var unverified = RoomsProbe(.none)
        _ = unverified.send(#"0{"token":"t"}"#)
        #expect(
            unverified.send(#"0{"token":"t"}"#) == [
                """
                close 1002 a packet breaks the rules of Socket.IO
                """
            ])
    }

    @Test("to another namespace is refused there, and continues here")
    func namespaces() {
        var probe = RoomsProbe(.ann())
        #expect(probe.send("0/admin,{}") == [#"44/admin,{"message":"Invalid namespace"}"#])
        #expect(RoomsFrame.connected(probe.send("0")) != nil)
        #expect(probe.send(#"0/a"b,"#) == [#"44/a"b,{"message":"Invalid namespace"}"#])
        #expect(probe.emit("join_room", #"{"room_id":"r"}"#).count == 1)
    }

    @Test("has 45 seconds to do so")
    func connectTimeout() throws {
        var probe = RoomsProbe(.ann())
        #expect(probe.wakeAt == 45_000)
        let early = probe.perform { session, steps in
            steps.monotonicMilliseconds = 44_999
            session.wake(into: &steps)
        }
        #expect(early.isEmpty)
        let late = probe.perform { session, steps in
            steps.monotonicMilliseconds = 45_000
            session.wake(into: &steps)
        }
        #expect(late == ["close 1002 no CONNECT packet came in time"])
        #expect(probe.wakeAt == nil)
    }

    @Test("leaves its rooms with DISCONNECT, and may connect again")
    func disconnect() {
        var probe = RoomsProbe.ann(in: "s", "r")
        #expect(probe.send("1") == ["unsubscribe tenant/r", "unsubscribe tenant/s"])
        #expect(probe.wakeAt == 45_000)
        // A client that has disconnected receives no further events of its rooms.
        #expect(probe.deliver(.sent(1), in: "r").isEmpty)
        #expect(probe.startTrackingDeliveries(("r", 5)).isEmpty)
        #expect(probe.perform { $0.leftConversation(.rooms("tenant", "r"), into: &$1) }.isEmpty)
        #expect(
            probe.perform { $0.historyTruncated(in: .rooms("tenant", "r"), oldest: 1, into: &$1) }
                .isEmpty)
        #expect(probe.send("0").last == RoomsFrame.offset(""))
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [
                "enter tenant/r as ann Ann listed rooms from now"
            ])
    }

    @Test("is disconnected when its token expires, and needs a new one to connect again")
    func expiry() {
        var probe = RoomsProbe.ann(in: "r")
        #expect(
            probe.perform { $0.tokenExpired(into: &$1) } == [
                RoomsFrame.error("token expired"), "unsubscribe tenant/r", "41",
            ])
        #expect(
            probe.emit("send_message", #"{"room_id":"r","content":"x"}"#).isEmpty,
            "sent before DISCONNECT arrived")
        #expect(probe.send("0") == Self.refused("token: token expired"))
        #expect(probe.send(#"0{"token":"t"}"#) == ["authenticate t"])
        #expect(
            RoomsFrame.connected(
                probe.perform {
                    $0.authenticated(.success(Identity(user: "ann", tenant: "tenant")), into: &$1)
                }) != nil)

        var outside = RoomsProbe(.ann())
        #expect(
            outside.perform { $0.tokenExpired(into: &$1) }.isEmpty,
            "a disconnected client receives no events")
        #expect(outside.send("0") == Self.refused("token: token expired"))
    }

    @Test("may send a new token before the old one expires")
    func authenticate() {
        var probe = RoomsProbe.ann(in: "r")
        let renewed = Identity(
            user: "ann", displayName: "Anna", tenant: "tenant", grants: .none, isAdmin: true)
        #expect(probe.emit("authenticate", #"{"token":"t"}"#) == ["authenticate t"])
        #expect(
            probe.emit("authenticate", #"{"token":"t"}"#) == [
                RoomsFrame.error("token: another one is being verified", "authenticate")
            ])
        #expect(
            probe.perform { $0.authenticated(.success(renewed), into: &$1) } == [
                #"42["authenticated",{"user_id":"ann"}]"#
            ])
        #expect(probe.emit("authenticate", #"{"token":"t"}"#, ack: 3) == ["authenticate t"])
        #expect(
            probe.perform { $0.authenticated(.success(renewed), into: &$1) } == [
                #"433[{"ok":true,"user_id":"ann"}]"#
            ])
        // The name stays, because the members know it. The token's other data is updated.
        #expect(
            probe.emit("join_room", #"{"room_id":"s"}"#) == [
                "enter tenant/s as ann Ann admin unlisted rooms from now"
            ])

        _ = probe.emit("authenticate", #"{"token":"t"}"#)
        #expect(
            probe.perform {
                $0.authenticated(.failure(CredentialError("belongs to another user")), into: &$1)
            } == [
                RoomsFrame.error("token: belongs to another user", "authenticate")
            ])
        _ = probe.emit("authenticate", #"{"token":"t"}"#, ack: 4)
        #expect(
            probe.perform {
                $0.authenticated(.failure(CredentialError("belongs to another user")), into: &$1)
            } == [
                RoomsFrame.refusal(4, "token: belongs to another user")
            ])

        var anonymous = RoomsProbe.anonymous()
        #expect(
            anonymous.emit("authenticate", #"{"token":"t"}"#) == [
                RoomsFrame.error(
                    "token: the connection came without one; connect with it", "authenticate")
            ])
    }

    @Test("and leaves while its new token is verified receives no answer")
    func leftDuringRenewal() {
        var probe = RoomsProbe.ann()
        _ = probe.emit("authenticate", #"{"token":"t"}"#, ack: 1)
        _ = probe.send("1")
        #expect(
            probe.perform {
                $0.authenticated(.success(Identity(user: "ann", tenant: "tenant")), into: &$1)
            }.isEmpty)
        #expect(RoomsFrame.connected(probe.send("0")) != nil)
    }

    @Test("and moves to another node keeps its user and agent")
    func movedToOtherNode() throws {
        for agent: ByteString? in [nil, #"a "helper""#] {
            let identity = Identity(
                user: "ann", displayName: "Ann", tenant: "tenant", agent: agent,
                grants: .listed(["r"]), isAdmin: true)
            var probe = RoomsProbe(.bearer(identity))
            _ = probe.send("0")
            let snapshot = try #require(probe.session.snapshot(at: [], now: 0))
            let session = try #require(
                RoomsDialect(key: RoomsProbe.key).resume(snapshot, allowsAnonymous: false, at: 0))
            #expect(
                session.principal?.person
                    == Person(id: UserID(tokenSubject: "ann"), name: "Ann", agent: agent))
            #expect(session.principal?.isAdmin == true && session.tenant == "tenant")
        }
    }

    @Test("and moves here from a node of a later version keeps what this version knows")
    func movedFromLaterVersion() throws {
        var probe = RoomsProbe(
            .bearer(
                Identity(
                    user: "ann", displayName: "Ann", tenant: "tenant", agent: nil,
                    grants: .listed(["r"]), isAdmin: false)))
        _ = probe.send("0")
        let snapshot = try #require(probe.session.snapshot(at: [], now: 0))
        let later = #"{"new":{"list":[1]},"# + snapshot.dropFirst()
        let session = try #require(
            RoomsDialect(key: RoomsProbe.key).resume(later, allowsAnonymous: false, at: 0))
        #expect(session.tenant == "tenant")
        #expect(session.principal?.person.id == UserID(tokenSubject: "ann"))
    }
}
