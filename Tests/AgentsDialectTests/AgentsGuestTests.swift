import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import Identity
import Testing

@testable import AgentsDialect

@Suite("A guest of the Agents protocol")
struct AgentsGuestTests {
    @Test(
        "is refused before the upgrade if the channel of its token is closed, as for unknown ones",
        arguments: [
            ["v1", "ws"],
            ["v1", "ws", "tenant", "default", "agent", "guest:ann", "channel", "c"],
        ])
    func closedChannel(path: [String]) throws {
        let identity = Identity(
            user: "ann", agent: "guest:ann", grants: .listed(["c"]), guest: .member,
            guestKey: "q8Zt-m_R")
        let request = DialectRequest(
            path: path, query: [("channel_id", "c")], credentials: .bearer(identity),
            now: Timestamp(milliseconds: 0))
        guard
            case .awaitingAnswer(.describe(let principal, let access, .none), _, let then)? =
                AgentsDialect().open(request)
        else {
            Issue.record("the node does not look the channel up")
            return
        }
        #expect(principal.person == Person(of: identity) && access == .anyoneIfOpen)
        guard case .refused(let status, _) = then(.failed(.noSuchConversation)) else {
            Issue.record("the guest is not refused")
            return
        }
        #expect(status == 403)
    }

    @Test("writes to its channel, and to no inbox")
    func inboxes() {
        let guest = Identity(
            user: "ann", agent: "guest:ann", grants: .listed(["c"]), guest: .member,
            guestKey: "q8Zt-m_R")
        var probe = SessionProbe(
            AgentsSession(identity: guest, channel: "c", from: nil))
        #expect(
            probe.send(#"{"type":"message","to":"bob","content":"x"}"#) == [
                #"""
                {"type":"ERROR","error":"to: a guest writes only to its channel",\#
                "outcome":"refused","timestamp":"1970-01-01T00:00:00.000Z"}
                """#
            ])
        let sent = probe.send(#"{"type":"message","content":"x"}"#)
        #expect(sent.count == 1 && sent.first?.hasPrefix("post ") == true, "\(sent)")
    }
}
