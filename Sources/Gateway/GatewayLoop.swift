import ChatModel
import EventLoop

/// One event loop's share of the node: its connections, and the chat of the conversations that it owns or hears.
///
/// The actor only lets things in; everything it has is one struct, so that the way of a message pays no exclusivity checks.
actor GatewayLoop: EventLoopHandler {
    nonisolated let loop: EventLoop
    private var state: LoopState

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(index: Int, loop: EventLoop, shared: GatewayShared, live: LiveSettings) {
        self.loop = loop
        self.state = LoopState(index: index, loop: loop, shared: shared, live: live)
    }

    nonisolated func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.assumeIsolated { $0.state.socketReady(token, readable: readable, writable: writable) }
    }

    nonisolated func messagesWaiting() {
        self.assumeIsolated { $0.state.takeMail() }
    }

    nonisolated func turnEnding() {
        self.assumeIsolated { $0.state.endTurn() }
    }

    nonisolated func tick(now: MonotonicTime) {
        self.assumeIsolated { $0.state.tick() }
    }

    nonisolated func loopStopping() {
        self.assumeIsolated { $0.state.stop() }
    }

    /// Takes connections from these sockets.
    func listen(_ clients: ListeningSocket, _ admin: ListeningSocket?) throws(SocketError) {
        try self.state.listen(clients, .clients)
        if let admin { try self.state.listen(admin, .admin) }
    }
}
