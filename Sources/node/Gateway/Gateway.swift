public import Bytes
public import ChatEngine
public import ChatModel
import Cluster
public import EventLoop
import HTTPWire
import Synchronization
public import Telemetry

/// A node: its loops, its listeners, its connections.
public final class Gateway: Sendable {
    public let health: Health
    /// The client listener's address, with the actual port.
    public let clientAddress: SocketAddress
    /// The URL of the client listener's address, without a path.
    public let clientURL: String
    /// Nil if there is no admin listener.
    public let adminAddress: SocketAddress?
    let shared: GatewayShared
    private let gatewayLoops: [GatewayLoop]
    private let clientSockets: [ListeningSocket]

    /// Opens the listeners and starts the loops. The node accepts connections when this returns.
    ///
    /// With `GatewaySettings.awaitsStart` it answers only health probes until `markStarted()`. An
    /// orchestrator must see that a node which waits for Redis is alive.
    ///
    /// - Parameters:
    ///   - board: where the loops publish their metrics.
    ///   - admin: answers all requests of the admin listener.
    ///   - routes: the routes of the client port in addition to those of the dialects and health.
    ///   - store: returns each loop's store client.
    public init(
        _ settings: GatewaySettings, live: LiveSettings, logger: Logger, board: PublishedMetrics,
        admin: any RequestHandler,
        routes: [Route] = [], store: (EventLoop, Int) -> any ChatStore
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
        let node = View.Node(incarnation: settings.incarnation, loops: settings.loopCount)
        // Number 0, because every view of a cluster must be newer than the initial one.
        let view = View(number: 0, nodes: [node])
        var liveness = HealthEndpoint(
            probe: .health, node: settings.nodeName, version: settings.version, health: health,
            startedAt: now(), now: now)
        let readiness = liveness
        liveness.probe = .live
        let engine = EngineEndpoint(settings)
        let clientRouter = Router(
            settings, engine, health: readiness, liveness: liveness, handlers: routes)
        let shared = GatewayShared(
            settings: settings, limits: live.limits, view: view,
            stores: loops.enumerated().map { store($1, $0) },
            logger: logger, board: board, health: health,
            engine: engine, clientRouter: clientRouter, adminRouter: Router(admin: admin),
            loops: loops,
            now: now)
        self.health = health
        self.shared = shared
        self.clientSockets = sockets.clients
        self.clientAddress = sockets.clients[0].address
        self.clientURL = "\(live.tls == nil ? "http" : "https")://\(self.clientAddress.text)"
        self.adminAddress = sockets.admin.first?.address
        self.gatewayLoops = loops.enumerated().map {
            GatewayLoop(index: $0, loop: $1, shared: shared, live: live)
        }
        for (number, gatewayLoop) in self.gatewayLoops.enumerated() {
            gatewayLoop.loop.setHandler(gatewayLoop)
            guard number == 0, let admin = sockets.admin.first else { continue }
            gatewayLoop.loop.execute {
                Self.loggingFailure(logger) { () throws(SocketError) in
                    try gatewayLoop.listen(admin, .admin)
                }
            }
        }
        if !settings.awaitsStart { self.markStarted() }
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

    /// Connects a cluster node to the other nodes. Clients are refused until `markStarted()`.
    ///
    /// - Parameter join: gets the receiver of the relay's messages and the loops, and returns the
    ///   relay.
    public func connectRelay(_ join: (any RelayReceiver, [EventLoop]) -> any Relay) {
        let relay = join(self.shared, self.loops)
        for gatewayLoop in self.gatewayLoops {
            gatewayLoop.loop.execute { gatewayLoop.setRelay(relay) }
        }
    }

    /// Admits clients from now on.
    public func markStarted() { self.health.markStarted() }

    /// Starts accepting clients. Fails if another process has begun to listen at the address since
    /// this node reserved it. Clients that connect after this call wait at worst until a loop
    /// accepts them.
    private func listen() throws(SocketError) {
        try ListeningSocket.listen(with: self.clientSockets)
        for (gatewayLoop, socket) in zip(self.gatewayLoops, self.clientSockets) {
            gatewayLoop.loop.execute {
                Self.loggingFailure(self.shared.logger) { () throws(SocketError) in
                    try gatewayLoop.listen(socket, .clients)
                }
            }
        }
    }

    /// The loop that handles signals.
    public var firstLoop: EventLoop { self.gatewayLoops[0].loop }

    /// In the order of their numbers.
    var loops: [EventLoop] { self.gatewayLoops.map(\.loop) }

    /// The number of open client connections.
    public var connectionCount: Int { self.shared.connectionCount.value }

    /// Waits until no client connection is open, but not longer than `limit`.
    public func waitUntilDrained(within limit: Duration) async {
        await self.shared.connectionCount.waitUntilEmpty(within: limit)
    }

    public var limits: Limits { self.shared.limits.withLock { $0 } }

    /// Replaces keys, certificates, origins and limits. Certificates apply to new connections, the
    /// others to all.
    public func reload(_ live: LiveSettings) {
        self.shared.limits.withLock { $0 = live.limits }
        self.shared.addresses.reload(live.limits)
        // Executed on each loop, because a full mailbox would refuse a message.
        for gatewayLoop in self.gatewayLoops {
            gatewayLoop.loop.execute { gatewayLoop.reload(live) }
        }
    }

    /// The address with the most client connections; nil without any. IPv6 addresses count by
    /// their network of 64 bits.
    public var largestAddress: (address: IPAddress, connections: Int)? {
        self.shared.addresses.largest
    }

    public var loopCount: Int { self.gatewayLoops.count }

    func post(_ message: LoopControlMessage, to loop: Int) {
        _ = self.shared.controlMailboxes[loop].post(message)
    }

    /// Reports the node as draining, so that load balancers send no more clients.
    public func refuseClients() { self.health.setDraining() }

    /// Admits clients again after or during a drain.
    public func resumeClients() {
        self.health.setDraining(false)
        for gatewayLoop in self.gatewayLoops { gatewayLoop.loop.execute { gatewayLoop.endDrain() } }
    }

    /// Refuses new clients and closes the open connections with 1012, evenly over this time. If
    /// there are two drains, the shorter one applies.
    public func drain(over time: Duration) {
        self.health.setDraining()
        for gatewayLoop in self.gatewayLoops {
            gatewayLoop.loop.execute { gatewayLoop.drain(over: time) }
        }
    }

    /// Closes some of the clients with 1012, evenly over this time and on all loops in proportion
    /// to their clients. Clients that are already leaving count. New clients are still accepted.
    ///
    /// - Parameter limit: how long it waits for the number of clients of the loops. A loop that
    ///   does not answer in time closes none.
    public func closeClients(_ count: Int, over time: Duration, within limit: Duration) async {
        let clients = await self.loopReports(within: limit).map { $0?.connections ?? 0 }
        for (gatewayLoop, share) in zip(self.gatewayLoops, Self.shares(of: count, clients)) {
            gatewayLoop.loop.execute { gatewayLoop.closeClients(share, over: time) }
        }
    }

    /// Divides a number of clients among the loops, in proportion to the clients that they have.
    static func shares(of count: Int, _ clients: [Int]) -> [Int] {
        let total = max(1, clients.reduce(0, +))
        var before = 0
        return clients.map { own in
            let assigned = count * before / total
            before += own
            return count * before / total - assigned
        }
    }

    /// Stops the loops at once, even if requests are pending.
    public func stop() {
        for gatewayLoop in self.gatewayLoops { gatewayLoop.loop.stop() }
        for gatewayLoop in self.gatewayLoops { gatewayLoop.loop.join() }
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
