import Bytes
import ChatModel
import DialectKit
import Identity
import Testing

@testable import RoomsDialect

@Suite("A guest without a token")
struct GuestRoomsTests {
    private static let join = #"{"room_id":"r","user_id":"alice","username":"Alice"}"#

    /// A connection that has joined a room as `alice`, and the ids of its session.
    private static func alice() throws -> (probe: RoomsProbe, pid: String, offset: String) {
        var probe = RoomsProbe(.none, allowsAnonymous: true)
        let ids = try #require(RoomsFrame.connected(probe.send("0")))
        let steps = probe.join("r", as: #","user_id":"alice","username":"Alice""#, head: 3)
        #expect(steps.last == RoomsFrame.offset("~QWxpY2U.YWxpY2U;r=3"))
        return (probe, ids.pid, "~QWxpY2U.YWxpY2U;r=3")
    }

    private static func user(_ probe: RoomsProbe) -> UserID? { probe.session.principal?.person.id }

    @Test("is another user than one on another connection with the same user_id")
    func connections() throws {
        let (first, second) = (try Self.alice().probe, try Self.alice().probe)
        let (one, two) = (try #require(Self.user(first)), try #require(Self.user(second)))
        #expect(one != two && one.looksLike(two) && one.guestKey != two.guestKey)
        #expect(one.isConnectionGuest && one.displayID == "guest:alice")
    }

    @Test("is the same user when it resumes, with or without a new transport")
    func resumes() throws {
        let (before, pid, offset) = try Self.alice()
        var after = RoomsProbe(.none, allowsAnonymous: true)
        _ = after.send(#"0{"pid":"\#(pid)","offset":"\#(offset)"}"#)
        #expect(Self.user(after) != nil && Self.user(after) == Self.user(before))
        // And from there once more.
        var last = RoomsProbe(.none, allowsAnonymous: true)
        _ = last.send(#"0{"pid":"\#(pid)","offset":"\#(offset)"}"#)
        #expect(Self.user(last) == Self.user(before))
        // Rooms that it joins later have the same user.
        _ = last.emit("join_room", #"{"room_id":"s","user_id":"alice","username":"Alice"}"#)
        #expect(Self.user(last) == Self.user(before))
    }

    @Test("is nobody's successor with the offset of another, or with a forged recovery token")
    func strangers() throws {
        let (victim, pid, offset) = try Self.alice()
        let own = try #require(
            RoomsFrame.connected(
                {
                    var probe = RoomsProbe(.none, allowsAnonymous: true)
                    return probe.send("0")
                }()))
        // The offset is not signed, so it may name anybody; the key is that of the recovery token.
        var stranger = RoomsProbe(.none, allowsAnonymous: true)
        _ = stranger.send(#"0{"pid":"\#(own.pid)","offset":"\#(offset)"}"#)
        #expect(Self.user(stranger)?.name == "alice")
        #expect(Self.user(stranger) != Self.user(victim))
        let key = try #require(Self.user(victim)?.guestKey)
        let forged = RecoveryToken(
            sid: "s", tenant: "default", user: UserID(guest: "", key: key, provenBy: .connection)
        ).text(RecoveryKey(derivedFrom: Array("other".utf8), cluster: "test"))
        var forger = RoomsProbe(.none, allowsAnonymous: true)
        _ = forger.send(#"0{"pid":"\#(forged)","offset":"\#(offset)"}"#)
        #expect(Self.user(forger) == nil)
        // A token proves its own guest only, and the recovery token of a connection adds nothing.
        var bearer = RoomsProbe(
            .bearer(
                Identity(
                    user: "alice", grants: .listed(["r"]), guest: .member, guestKey: "q8Zt-m_R")),
            allowsAnonymous: true)
        _ = bearer.send(#"0{"pid":"\#(pid)","offset":"\#(offset)"}"#)
        #expect(Self.user(bearer) == UserID(guest: "alice", key: "q8Zt-m_R", provenBy: .token))
    }

    @Test("with a token resumes as the guest of the token")
    func bearer() throws {
        let credentials = Credentials.bearer(
            Identity(user: "alice", grants: .listed(["r"]), guest: .member, guestKey: "q8Zt-m_R"))
        var before = RoomsProbe(credentials, allowsAnonymous: true)
        let ids = try #require(RoomsFrame.connected(before.send("0")))
        let packet = #"0{"pid":"\#(ids.pid)","offset":"~YWxpY2U.YWxpY2U;r=3"}"#
        var after = RoomsProbe(credentials, allowsAnonymous: true)
        #expect(RoomsFrame.connected(after.send(packet))?.sid == ids.sid)
        #expect(Self.user(after) == Self.user(before))
        // The recovery token alone is no credential of the token's guest.
        var stranger = RoomsProbe(.none, allowsAnonymous: true)
        #expect(RoomsFrame.connected(stranger.send(packet))?.sid != ids.sid)
    }
}
