public import ChatModel
import Cluster
public import EventLoop
import HTTPWire
import Synchronization
public import Telemetry

/// A node: its loops, its listeners, its connections.
public final class Gateway: Sendable {
    public let health: Health
    /// Where clients connect, with the real port.
    public let clientAddress: SocketAddress
    /// Nil where there is no admin listener.
    public let adminAddress: SocketAddress?
    private let shared: GatewayShared
    private let loops: [EventLoop]

    /// Opens the listeners and starts the loops; connections are taken when this returns.
    ///
    /// - Parameter board: where the loops leave what they count.
    public init(
        _ settings: GatewaySettings, live: LiveSettings, store: any ChatStore, logger: Logger, board: MetricsBoard, admin: any SiteHandler
    ) throws(SocketError) {
        let clientSockets = try ListeningSocket.openGroup(host: settings.clientHost, port: settings.clientPort, count: settings.loopCount)
        var adminSockets: [ListeningSocket] = []
        if let host = settings.adminHost {
            adminSockets = try ListeningSocket.openGroup(host: host, port: settings.adminPort, count: 1)
        }
        var loops: [EventLoop] = []
        for number in 0..<settings.loopCount { loops.append(try EventLoop.start(name: "confab-loop-\(number)")) }
        let now: @Sendable () -> Int64 = { MonotonicTime.now.nanoseconds / 1_000_000 }
        let health = Health(loopCount: settings.loopCount, now: now)
        let view = View(number: 1, nodes: [View.Node(incarnation: settings.incarnation, loops: settings.loopCount)])
        let site = ClientSite(node: settings.nodeName, version: settings.version, health: health, startedAt: now(), now: now)
        let shared = GatewayShared(
            settings: settings, view: view, store: store, logger: logger, board: board, health: health, clients: site, admin: admin,
            mailboxes: loops.map { Mailbox(of: $0) })
        self.health = health
        self.shared = shared
        self.loops = loops
        self.clientAddress = clientSockets[0].address
        self.adminAddress = adminSockets.first?.address
        for (number, loop) in loops.enumerated() {
            let member = GatewayLoop(index: number, loop: loop, shared: shared, live: live)
            loop.attach(member)
            let (clients, admin) = (clientSockets[number], number == 0 ? adminSockets.first : nil)
            loop.execute {
                do throws(SocketError) {
                    try member.listen(clients, admin)
                } catch {
                    logger.error("listening failed", ["reason": .text(error.description)])
                }
            }
        }
        health.started()
    }

    /// A loop of the node's, for signals.
    public var firstLoop: EventLoop { self.loops[0] }

    /// Client connections that are open.
    public var connectionCount: Int { self.shared.connectionCount.load(ordering: .relaxed) }

    /// Uses other keys, certificates, origins and limits: keys and limits for everybody at once, certificates for whoever comes.
    public func reload(_ live: LiveSettings) {
        for mailbox in self.shared.mailboxes { _ = mailbox.post(.reload(live)) }
    }

    /// Takes no more connections and closes those that there are with 1012, one after the other over this time.
    public func drain(over time: Duration) {
        self.health.draining()
        for mailbox in self.shared.mailboxes { _ = mailbox.post(.drain(milliseconds: time.components.seconds * 1000)) }
    }

    /// Ends the loops, whatever is under way on them.
    public func stop() {
        for loop in self.loops { loop.stop() }
        for loop in self.loops { loop.join() }
    }
}
