import Bytes
import ChatModel
import DialectKit
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
}
