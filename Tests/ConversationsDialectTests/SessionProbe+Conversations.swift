import Bytes
import ChatModel
import ConversationsDialect
import DialectKit
import DialectTestSupport
import Identity

extension SessionProbe {
    init(
        user: String = "ann", name: String? = "Ann", agent: String? = nil,
        conversation: String = "room-1", after: String? = nil,
        grants: Grants = .all,
        isAdmin: Bool = false, limits: Limits = Limits()
    ) {
        let identity = Identity(
            user: .init(user), displayName: name.map { .init($0) }, tenant: "tenant",
            agent: agent.map { .init($0) }, grants: grants,
            isAdmin: isAdmin)
        let query = after.map { [(name: "after", value: $0)] } ?? []
        let request = DialectRequest(
            path: ["conversations", conversation], query: query, credentials: .bearer(identity),
            now: Timestamp(milliseconds: 0))
        self.init(ConversationsDialect(), request, limits: limits)
    }
}
