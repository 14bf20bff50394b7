internal import Bytes
internal import ChatModel
internal import EventLoop
internal import Gateway
internal import JSON
internal import NodeLink

/// A connection as a row of `confab connections`.
extension ConnectionReport {
    static let columns = [
        "id", "user", "guest_key", "tenant", "dialect", "transport", "node", "address",
        "conversations",
        "pending", "in", "out", "rtt", "uptime", "idle",
    ]

    /// The value of one column. Sizes are in bytes, `rtt` in milliseconds, times in seconds.
    func value(_ column: String, on node: String) -> JSONTree {
        switch column {
        case "id": .string(self.clusterID(on: node))
        case "user": self.user.map { .string($0.displayID.string) } ?? .null
        case "guest_key": self.user?.guestKeyTree ?? .null
        case "tenant": self.user == nil ? .null : self.tenant.map { .string($0.string) } ?? .null
        case "dialect": .string(self.dialect)
        case "transport": .string(self.isPolling ? "polling" : "websocket")
        case "node": .string(node)
        case "address": .string(self.address)
        case "conversations": .integer(self.conversationCount)
        case "pending": .integer(self.pendingBytes)
        case "in": self.traffic.map { .integer($0.receivedBytes) } ?? .null
        case "out": self.traffic.map { .integer($0.acknowledgedBytes) } ?? .null
        case "rtt": self.roundTrip.map { .integer($0) } ?? .null
        case "uptime": .integer(self.openFor / 1000)
        case "idle": .integer(self.idleFor / 1000)
        default: preconditionFailure("connections have no column \(column)")
        }
    }

    /// The id that names the connection in the whole cluster. After the slash it is as in the
    /// node's log.
    func clusterID(on node: String) -> String { "\(node)/\(self.id)" }

    func row(on node: String) -> JSONTree {
        .object(Self.columns.map { .init($0, self.value($0, on: node)) })
    }
}

/// The name of a connection in the whole cluster: `NODE/LOOP.SLOT.GENERATION`.
struct ClusterConnectionID: Equatable {
    let node: String
    let local: ConnectionID

    /// Nil if the text is no such id. Node names contain no slash.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, let local = ConnectionID(parts[1]) else {
            return nil
        }
        self.node = String(parts[0])
        self.local = local
    }
}

extension ConnectionDetails {
    /// The members of the document in addition to the row.
    var members: [JSONTree.ObjectMember] {
        [
            .init("tls", .bool(self.isTLS)), .init("compressed", .bool(self.isCompressed)),
            .init("reading_paused", .bool(self.isReadingPaused)),
            .init("unanswered", .integer(self.unansweredCommands)),
            .init("token_expires_in", self.expiresIn.map { .integer($0) } ?? .null),
            .init(
                "subscriptions",
                .array(
                    self.subscriptions.map { subscription in
                        [
                            "conversation": .string(subscription.conversation.id.string),
                            "sent_through": .integer(subscription.sentThrough),
                            "catching_up": .bool(subscription.isCatchingUp),
                        ]
                    })),
        ]
    }
}
