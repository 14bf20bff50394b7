public import ChatModel
public import Cluster
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
    private let gatewayLoops: [GatewayLoop]
    private let clientSockets: [ListeningSocket]

    /// Opens the listeners and starts the loops; connections are taken when this returns. Of a node of a cluster only probes are answered
    /// until `started()`: whatever restarts processes must see that one which waits for Redis is alive.
    ///
    /// - Parameters:
    ///   - board: where the loops leave what they count.
    ///   - rest: answers under `/api/` beside health, what it has no answer for with 404; nil: nobody does.
    ///   - store: gives each loop its way to the store.
    public init(
        _ settings: GatewaySettings, live: LiveSettings, logger: Logger, board: PublishedMetrics,
        admin: any RequestHandler,
        api rest: (any RequestHandler)? = nil, store: (EventLoop, Int) -> any ChatStore
    ) throws(SocketError) {
        let sockets = try Self.openSockets(settings)
        let loops: [EventLoop]
        do throws(SocketError) {
            loops = try Self.startLoops(settings.loopCount)
        } catch {
            for socket in sockets.clients + sockets.admin { socket.socket.close() }
            throw error
        }
        let now: @Sendable () -> Int64 = { MonotonicTime.now.nanoseconds / 1_000_000 }
        let health = Health(loopCount: settings.loopCount, now: now)
        let me = View.Node(incarnation: settings.incarnation, loops: settings.loopCount)
        // Every view of a cluster is newer than what its nodes begin with.
        let view = View(number: 0, nodes: [me])
        let site = PublicEndpoints(
            node: settings.nodeName, version: settings.version, health: health, startedAt: now(),
            now: now, api: rest)
        let shared = GatewayShared(
            settings: settings, view: view, stores: loops.enumerated().map { store($1, $0) },
            logger: logger, board: board, health: health,
            clientHandler: site, adminHandler: admin,
            loops: loops,
            now: now)
        self.health = health
        self.shared = shared
        self.clientSockets = sockets.clients
        self.clientAddress = sockets.clients[0].address
        self.adminAddress = sockets.admin.first?.address
        self.gatewayLoops = loops.enumerated().map {
            GatewayLoop(index: $0, loop: $1, shared: shared, live: live)
        }
        for (number, member) in self.gatewayLoops.enumerated() {
            member.loop.setHandler(member)
            guard number == 0, let admin = sockets.admin.first else { continue }
            member.loop.execute {
                Self.loggingFailure(logger) { () throws(SocketError) in
                    try member.listen(admin, .admin)
                }
            }
        }
        if !settings.isClustered { self.markStarted() }
        do throws(SocketError) {
            try self.listen()
        } catch {
            self.stop()
            throw error
        }
    }

    private static func loggingFailure(_ logger: Logger, _ work: () throws(SocketError) -> Void) {
        do throws(SocketError) {
            try work()
        } catch {
            logger.error("listening failed", ["reason": .text(error.description)])
        }
    }

    /// For a node of a cluster: `join` gets what the relay is to tell, and the loops, and gives the relay. Clients are refused until
    /// `started()`.
    public func connectRelay(_ join: (any RelayReceiver, [EventLoop]) -> any Relay) {
        let relay = join(self.shared, self.loops)
        for member in self.gatewayLoops { member.loop.execute { member.setRelay(relay) } }
    }

    /// From here on clients are let in.
    public func markStarted() { self.health.markStarted() }

    /// Whoever connects when this returns waits for a loop at worst. Fails where somebody else has begun to listen at the address since
    /// this node holds it.
    private func listen() throws(SocketError) {
        try ListeningSocket.listen(with: self.clientSockets)
        for (member, socket) in zip(self.gatewayLoops, self.clientSockets) {
            member.loop.execute {
                Self.loggingFailure(self.shared.logger) { () throws(SocketError) in
                    try member.listen(socket, .clients)
                }
            }
        }
    }

    /// A loop of the node's, for signals.
    public var firstLoop: EventLoop { self.gatewayLoops[0].loop }

    /// All of them, in the order of their numbers.
    var loops: [EventLoop] { self.gatewayLoops.map(\.loop) }

    /// Client connections that are open.
    public var connectionCount: Int { self.shared.connectionCount.load(ordering: .relaxed) }

    /// Uses other keys, certificates, origins and limits: keys and limits for everybody at once, certificates for whoever comes.
    public func reload(_ live: LiveSettings) {
        // Not by mail, which a full mailbox would refuse.
        for member in self.gatewayLoops { member.loop.execute { member.reload(live) } }
    }

    public var loopCount: Int { self.gatewayLoops.count }

    func post(_ order: LoopControlMessage, to loop: Int) {
        _ = self.shared.controlMailboxes[loop].post(order)
    }

    /// Says that the node is going down: load balancers send nobody any more.
    public func refuseClients() { self.health.setDraining() }

    /// Takes clients again after a drain, or in the middle of one.
    public func resumeClients() {
        self.health.setDraining(false)
        for member in self.gatewayLoops { member.loop.execute { member.endDrain() } }
    }

    /// Takes no more connections and closes those that there are with 1012, one after the other over this time. Of two drains the quicker
    /// counts.
    public func drain(over time: Duration) {
        self.health.setDraining()
        for member in self.gatewayLoops { member.loop.execute { member.drain(over: time) } }
    }

    /// Ends the loops, whatever is under way on them.
    public func stop() {
        for member in self.gatewayLoops { member.loop.stop() }
        for member in self.gatewayLoops { member.loop.join() }
    }

    private static func openSockets(_ settings: GatewaySettings) throws(SocketError) -> (
        clients: [ListeningSocket], admin: [ListeningSocket]
    ) {
        let clients = try ListeningSocket.bindGroup(
            host: settings.clientHost, port: settings.clientPort, count: settings.loopCount)
        guard let host = settings.adminHost else { return (clients, []) }
        do throws(SocketError) {
            return (clients, [try ListeningSocket.open(host: host, port: settings.adminPort)])
        } catch {
            for socket in clients { socket.socket.close() }
            throw error
        }
    }

    private static func startLoops(_ count: Int) throws(SocketError) -> [EventLoop] {
        var loops: [EventLoop] = []
        do throws(SocketError) {
            for number in 0..<count {
                loops.append(try EventLoop.start(name: "confab-loop-\(number)"))
            }
        } catch {
            for loop in loops {
                loop.stop()
                loop.join()
            }
            throw error
        }
        return loops
    }
}
