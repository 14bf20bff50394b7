import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Cluster
import Configuration
import EventLoop
import Synchronization
import Telemetry

/// The state that the loops of a node share: constant settings, their mailboxes and their reports.
final class GatewayShared: Sendable {
    let settings: GatewaySettings
    let engine: EngineEndpoint?
    let linkBase: LinkBase
    /// The view with which the loops start.
    let view: View
    /// One store client for each loop. A store that all loops share appears once for each.
    let stores: [any ChatStore]
    let logger: Logger
    let board: PublishedMetrics
    let health: Health
    let clientRouter: Router
    let adminRouter: Router
    let mailboxes: [Mailbox<InterLoopMessage>]
    let storeReplyMailboxes: [Mailbox<StoreReply>]
    let controlMailboxes: [Mailbox<LoopControlMessage>]
    let storeProbe: StoreProbe
    let storeErrors: StoreErrorLog
    let bans = BanBoard()
    let searches = SearchAdmission()
    /// The open client connections of the node.
    let connectionCount = ConnectionCount()
    let addresses: AddressLedger
    let rates: RateLedger
    /// For what runs on no loop; each loop has its own copy.
    let limits: Mutex<Limits>

    init(
        settings: GatewaySettings, limits: Limits, view: View, stores: [any ChatStore],
        logger: Logger,
        board: PublishedMetrics, health: Health,
        engine: EngineEndpoint?, clientRouter: Router, adminRouter: Router, loops: [EventLoop],
        now: @escaping @Sendable () -> Int64
    ) {
        self.settings = settings
        self.engine = engine
        self.linkBase = LinkBase(publicURL: settings.publicURL, listenHost: settings.clientHost)
        self.view = view
        self.stores = stores
        self.logger = logger
        self.limits = Mutex(limits)
        self.rates = RateLedger { settings.readClocks().monotonic }
        self.addresses = AddressLedger(limits) { address, count in
            logger.warning(
                "address has many connections",
                ["address": .text(address.description), "connections": LogValue(count)])
        }
        self.board = board
        self.health = health
        self.clientRouter = clientRouter
        self.adminRouter = adminRouter
        self.mailboxes = loops.map { Mailbox(of: $0, limit: settings.mailboxLimit) }
        self.storeReplyMailboxes = loops.map { Mailbox(of: $0, limit: .max) }
        self.controlMailboxes = loops.map { Mailbox(of: $0, limit: .max) }
        self.storeErrors = StoreErrorLog(logger, now: now)
        self.storeProbe = StoreProbe(health, self.storeErrors)
    }
}

extension GatewayShared: RelayReceiver {
    func receive(_ envelope: Envelope) {
        guard Int(envelope.to.loop) < self.mailboxes.count else { return }
        // A full mailbox drops the envelope, and the loop detects the gap.
        _ = self.mailboxes[Int(envelope.to.loop)].post(.envelope(envelope))
    }

    func receive(_ message: RemoteLoopMessage, from node: UInt64) {
        guard Int(message.loop) < self.controlMailboxes.count else { return }
        _ = self.controlMailboxes[Int(message.loop)].post(
            .nodeMessage(message.text, from: node))
    }

    func follow(_ view: View) {
        self.bans.follow(view)
        for mailbox in self.controlMailboxes { _ = mailbox.post(.follow(view)) }
    }

    func rejoin(as incarnation: UInt64, in view: View) {
        self.bans.markStale()
        for mailbox in self.controlMailboxes { _ = mailbox.post(.rejoin(incarnation, view)) }
    }

    func evictionChanged(isEvicted: Bool) {
        for mailbox in self.controlMailboxes { _ = mailbox.post(.evictionChanged(isEvicted)) }
    }

    func messagesMayBeLost() {
        self.bans.markStale()
        for mailbox in self.controlMailboxes { _ = mailbox.post(.messagesLost) }
    }

    func storeMayHaveLostData(on loop: Int) {
        self.bans.markStale()
        _ = self.controlMailboxes[loop].post(.compareWithStore)
    }

    func linkProblemChanged(_ reason: String?) {
        self.bans.linkChanged(isCutOff: reason != nil)
        self.health.setLinkFailure(reason)
    }
}
