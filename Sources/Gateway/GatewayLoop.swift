import ChatModel
import Cluster
import EventLoop

/// One event loop's share of the node: its connections, and the chat of the conversations that it owns or hears.
///
/// Everything it has is one struct, bound to the loop: the way of a message pays no exclusivity checks.
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

    /// On the loop: other keys, certificates, origins and limits.
    func reload(_ live: LiveSettings) {
        self.state.with { $0.reload(live) }
    }

    /// On the loop: mail for other nodes goes this way.
    func setRelay(_ relay: any Relay) {
        self.state.with { $0.relay = relay }
    }

    /// On the loop: no more connections, and an end to those that there are.
    func drain(over time: Duration) {
        self.state.with { $0.drain(over: time) }
    }

    /// On the loop: whoever is still here stays.
    func endDrain() {
        self.state.with { $0.endDrain() }
    }

    /// On the loop: takes connections from this socket.
    func listen(_ socket: ListeningSocket, _ site: ListenerRole) throws(SocketError) {
        try self.state.with { (state: inout LoopState) throws(SocketError) in
            try state.listen(socket, site)
        }
    }
}
