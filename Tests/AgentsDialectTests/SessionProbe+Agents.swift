import AgentsDialect
import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import Identity

extension SessionProbe {
    /// The agent of ann, with the channel "c" or without one.
    static func agents(
        channel: String? = "c", after: String? = nil, limits: Limits = Limits()
    ) -> SessionProbe {
        let identity = Identity(
            user: "ann", displayName: "Ann", tenant: "tenant", agent: "agent-1",
            grants: .listed(["c"]))
        var query: [(name: String, value: String)] = []
        if let channel { query.append(("channel_id", channel)) }
        if let after { query.append(("after", after)) }
        return SessionProbe(
            AgentsDialect(), .agents(.bearer(identity), query: query), limits: limits)
    }
}

extension DialectRequest {
    static func agents(
        _ credentials: Credentials, path: [String] = ["v1", "ws"],
        query: [(name: String, value: String)] = []
    ) -> Self {
        DialectRequest(
            path: path, query: query, credentials: credentials, now: Timestamp(milliseconds: 0))
    }
}
