import ChatModel
import Cluster
import EventLoop
import Synchronization
import Telemetry

/// What all loops of a node share: settings that never change, each other's mailboxes, and where they report.
final class GatewayShared: Sendable {
    let settings: GatewaySettings
    let engine: EnginePlace?
    let linkBase: LinkBase
    /// What the loops begin with.
    let view: View
    /// Each loop's way to the store; of a store that all loops share the same for all.
    let stores: [any ChatStore]
    let logger: Logger
    let board: MetricsBoard
    let health: Health
    let clients: any SiteHandler
    let admin: any SiteHandler
    let mailboxes: [Mailbox<LoopMail>]
    let answers: [Mailbox<StoreLetter>]
    let orders: [Mailbox<LoopOrder>]
    let probe: StoreProbe
    let complaints: StoreComplaints
    /// Open client connections of the node.
    let connectionCount = Atomic<Int>(0)

    init(
        settings: GatewaySettings, view: View, stores: [any ChatStore], logger: Logger, board: MetricsBoard, health: Health,
        clients: any SiteHandler,
        admin: any SiteHandler, loops: [EventLoop], now: @escaping @Sendable () -> Int64
    ) {
        self.settings = settings
        self.engine = EnginePlace(settings)
        self.linkBase = LinkBase(publicURL: settings.publicURL, listenHost: settings.clientHost)
        self.view = view
        self.stores = stores
        self.logger = logger
        self.board = board
        self.health = health
        self.clients = clients
        self.admin = admin
        self.mailboxes = loops.map { Mailbox(of: $0, limit: settings.mailboxLimit) }
        self.answers = loops.map { Mailbox(of: $0, limit: .max) }
        self.orders = loops.map { Mailbox(of: $0, limit: .max) }
        self.complaints = StoreComplaints(logger, now: now)
        self.probe = StoreProbe(health, self.complaints)
    }
}

extension GatewayShared: RelayReceiver {
    func receive(_ envelope: Envelope) {
        guard Int(envelope.to.loop) < self.mailboxes.count else { return }
        // A full mailbox loses it, and the loop sees the gap.
        _ = self.mailboxes[Int(envelope.to.loop)].post(.envelope(envelope))
    }

    func receive(_ letter: Letter, from node: UInt64) {
        guard Int(letter.loop) < self.orders.count else { return }
        _ = self.orders[Int(letter.loop)].post(.letter(letter.text, from: node))
    }

    func follow(_ view: View) {
        for letters in self.orders { _ = letters.post(.follow(view)) }
    }

    func become(_ incarnation: UInt64, in view: View) {
        for letters in self.orders { _ = letters.post(.become(incarnation, view)) }
    }

    func mailWasLost() {
        for letters in self.orders { _ = letters.post(.mailWasLost) }
    }

    func storeMayHaveForgotten(on loop: Int) {
        _ = self.orders[loop].post(.compareWithStore)
    }

    func linkFailed(_ reason: String?) {
        self.health.linkFailed(reason)
    }
}
