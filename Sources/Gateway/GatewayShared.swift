import ChatModel
import Cluster
import EventLoop
import Synchronization
import Telemetry

/// What all loops of a node share: settings that never change, each other's mailboxes, and where they report.
final class GatewayShared: Sendable {
    let settings: GatewaySettings
    let engine: EngineEndpoint?
    let linkBase: LinkBase
    /// What the loops begin with.
    let view: View
    /// Each loop's way to the store; of a store that all loops share the same for all.
    let stores: [any ChatStore]
    let logger: Logger
    let board: PublishedMetrics
    let health: Health
    let clientHandler: any RequestHandler
    let adminHandler: any RequestHandler
    let mailboxes: [Mailbox<InterLoopMessage>]
    let storeReplyMailboxes: [Mailbox<StoreReply>]
    let controlMailboxes: [Mailbox<LoopControlMessage>]
    let storeProbe: StoreProbe
    let storeErrors: StoreErrorLog
    /// Open client connections of the node.
    let connectionCount = Atomic<Int>(0)

    init(
        settings: GatewaySettings, view: View, stores: [any ChatStore], logger: Logger,
        board: PublishedMetrics, health: Health,
        clientHandler clients: any RequestHandler,
        adminHandler admin: any RequestHandler, loops: [EventLoop],
        now: @escaping @Sendable () -> Int64
    ) {
        self.settings = settings
        self.engine = EngineEndpoint(settings)
        self.linkBase = LinkBase(publicURL: settings.publicURL, listenHost: settings.clientHost)
        self.view = view
        self.stores = stores
        self.logger = logger
        self.board = board
        self.health = health
        self.clientHandler = clients
        self.adminHandler = admin
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
        // A full mailbox loses it, and the loop sees the gap.
        _ = self.mailboxes[Int(envelope.to.loop)].post(.envelope(envelope))
    }

    func receive(_ letter: RemoteLoopMessage, from node: UInt64) {
        guard Int(letter.loop) < self.controlMailboxes.count else { return }
        _ = self.controlMailboxes[Int(letter.loop)].post(.forwardedMessage(letter.text, from: node))
    }

    func follow(_ view: View) {
        for letters in self.controlMailboxes { _ = letters.post(.follow(view)) }
    }

    func rejoin(as incarnation: UInt64, in view: View) {
        for letters in self.controlMailboxes { _ = letters.post(.rejoin(incarnation, view)) }
    }

    func messagesMayBeLost() {
        for letters in self.controlMailboxes { _ = letters.post(.messagesLost) }
    }

    func storeMayHaveLostData(on loop: Int) {
        _ = self.controlMailboxes[loop].post(.compareWithStore)
    }

    func linkProblemChanged(_ reason: String?) {
        self.health.setLinkFailure(reason)
    }
}
