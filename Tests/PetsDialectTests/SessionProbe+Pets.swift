import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import Identity
import PetsDialect

extension SessionProbe {
    /// The new connection of Ann, subscribed to the conversation "c".
    static func pets(
        grants: Grants = .listed(["c"]), isAdmin: Bool = false, limits: Limits = Limits()
    ) -> SessionProbe {
        let identity = Identity(
            user: "ann", displayName: "Ann", tenant: "tenant", grants: grants, isAdmin: isAdmin)
        var probe = SessionProbe(
            PetsDialect(),
            DialectRequest(
                path: ["ws"], query: [], credentials: .bearer(identity),
                now: Timestamp(milliseconds: 0)),
            limits: limits)
        _ = probe.opened()
        for index in probe.tags.indices { _ = probe.answer(.joined(.empty), to: index) }
        _ = probe.storeAnswer(.memberships(MembershipPage()))
        return probe
    }
}
