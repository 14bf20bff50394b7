import ChatEngine
import ChatModel
import EventLoop

/// One event loop's part of the node: its connections, and the conversations that it owns or
/// subscribes to.
///
/// All of its state is reached through one struct that is bound to the loop. So only the loop's
/// thread uses it, and delivering a message needs no exclusivity checks (see `ConnectionPool`).
final class GatewayLoop: EventLoopHandler {
    let loop: EventLoop
    private let state: LoopBound<LoopState>

    init(index: Int, loop: EventLoop, shared: GatewayShared, live: LiveSettings) {
        self.loop = loop
        self.state = LoopBound(
            LoopState(index: index, loop: loop, shared: shared, live: live), on: loop)
    }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.state.with { $0.socketReady(token, readable: readable, writable: writable) }
    }

    func peerClosed(_ token: SocketToken) {
        self.state.with { $0.clientGone(token) }
    }

    func messagesWaiting() {
        self.state.with { $0.receiveMessages() }
    }

    func turnEnding() {
        self.state.with { $0.endTurn() }
    }

    func tick(now: MonotonicTime) {
        self.state.with { $0.tick() }
    }

    func loopStopping() {
        self.state.with { $0.stop() }
    }

    /// On the loop: replaces keys, certificates, origins and limits.
    func reload(_ live: LiveSettings) {
        self.state.with { $0.reload(live) }
    }

    /// On the loop: sets the relay for messages to other nodes.
    func setRelay(_ relay: any Relay) {
        self.state.with { $0.context.relay = relay }
    }

    /// On the loop: refuses new clients and closes the open connections over this time.
    func drain(over time: Duration) {
        self.state.with { $0.drain(over: time) }
    }

    /// On the loop: closes this number of clients over this time.
    func closeClients(_ count: Int, over time: Duration) {
        self.state.with { $0.closeClients(count, over: time) }
    }

    /// On the loop: keeps the connections that are still open.
    func endDrain() {
        self.state.with { $0.endDrain() }
    }

    /// On the loop: accepts connections from this socket.
    func listen(_ socket: ListeningSocket, _ role: ListenerRole) throws(SocketError) {
        try self.state.with { (state: inout LoopState) throws(SocketError) in
            try state.pool.listen(socket, role)
        }
    }
}
