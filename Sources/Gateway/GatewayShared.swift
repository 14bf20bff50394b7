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
    let answers: [Mailbox<StoreLetter>]
    let probe: StoreProbe
    let complaints: StoreComplaints
    /// Open client connections of the node.
    let connectionCount = Atomic<Int>(0)

    init(
        settings: GatewaySettings, view: View, store: any ChatStore, logger: Logger, board: MetricsBoard, health: Health,
        clients: any SiteHandler,
        admin: any SiteHandler, loops: [EventLoop], now: @escaping @Sendable () -> Int64
    ) {
        self.settings = settings
        self.view = view
        self.store = store
        self.logger = logger
        self.board = board
        self.health = health
        self.clients = clients
        self.admin = admin
        self.mailboxes = loops.map { Mailbox(of: $0, limit: settings.mailboxLimit) }
        self.answers = loops.map { Mailbox(of: $0, limit: .max) }
        self.complaints = StoreComplaints(logger, now: now)
        self.probe = StoreProbe(health, self.complaints)
    }
}
