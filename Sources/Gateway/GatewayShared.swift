import ChatModel
import Cluster
import EventLoop
import Synchronization
import Telemetry

/// What all loops of a node share: settings that never change, each other's mailboxes, and where they report.
final class GatewayShared: Sendable {
    let settings: GatewaySettings
    let view: View
    let store: any ChatStore
    let logger: Logger
    let board: MetricsBoard
    let health: Health
    let clients: any SiteHandler
    let admin: any SiteHandler
    let mailboxes: [Mailbox<LoopMail>]
    /// Open client connections of the node.
    let connectionCount = Atomic<Int>(0)

    init(
        settings: GatewaySettings, view: View, store: any ChatStore, logger: Logger, board: MetricsBoard, health: Health, clients: any SiteHandler,
        admin: any SiteHandler, mailboxes: [Mailbox<LoopMail>]
    ) {
        self.settings = settings
        self.view = view
        self.store = store
        self.logger = logger
        self.board = board
        self.health = health
        self.clients = clients
        self.admin = admin
        self.mailboxes = mailboxes
    }
}

/// Hands the store's answers to the loop that asked.
final class LoopStoreClient: StoreClient {
    private let mailbox: Mailbox<LoopMail>
    private let health: Health
    private let logger: Logger
    /// The ticket of the node's own probe, which no loop's chat has asked for.
    static let probe = StoreTicket.max

    init(mailbox: Mailbox<LoopMail>, health: Health, logger: Logger) {
        self.mailbox = mailbox
        self.health = health
        self.logger = logger
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        if case .failed(let failure) = answer {
            self.logger.warning("store request failed", ["reason": .text(failure.description)])
        }
        guard ticket != Self.probe else {
            if case .failed(let failure) = answer { self.health.probed(failure.description) } else { self.health.probed(nil) }
            return
        }
        // A mailbox has room for every answer: each belongs to a request, and those are bounded. Were it full all the
        // same, the request would be asked again.
        _ = self.mailbox.post(.store(answer, ticket))
    }
}
