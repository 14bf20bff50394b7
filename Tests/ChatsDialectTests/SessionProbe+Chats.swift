import Bytes
import ChatModel
import ChatsDialect
import DialectKit
import DialectTestSupport
import Identity

extension SessionProbe {
    /// The new connection of Ann, number 7, subscribed to the chat 5.
    static func chats(
        grants: Grants = .listed(["5"]), isAdmin: Bool = false, limits: Limits = Limits()
    ) -> SessionProbe {
        let identity = Identity(
            user: "7", displayName: "Ann", tenant: "tenant", grants: grants, isAdmin: isAdmin)
        var probe = SessionProbe(ChatsDialect(), .chats(.bearer(identity)), limits: limits)
        _ = probe.opened()
        for index in probe.tags.indices { _ = probe.answer(.joined(.empty), to: index) }
        _ = probe.storeAnswer(.memberships(MembershipPage()))
        return probe
    }
}

extension DialectRequest {
    static func chats(
        _ credentials: Credentials, query: [(name: String, value: String)] = [],
        allowsAnonymous: Bool = false
    ) -> Self {
        DialectRequest(
            path: ["ws", "chats"], query: query, credentials: credentials,
            allowsAnonymous: allowsAnonymous, now: Timestamp(milliseconds: 0)
        )
    }
}
