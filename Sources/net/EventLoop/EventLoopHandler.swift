/// Receives the events of a loop.
///
/// All methods are called on the loop's thread, so an actor pinned to the loop implements them with
/// `assumeIsolated`. The order within a turn is: `tick` and socket events, `messagesWaiting`, the
/// actors' jobs, `turnEnding`.
public protocol EventLoopHandler: AnyObject, Sendable {
    /// The socket can be read or written. After an error both flags are true, and reading returns
    /// the error.
    ///
    /// Called again in every turn while the socket stays ready and the interest is unchanged.
    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool)

    /// The peer sends no more, or is gone, while the loop watches the socket for neither input nor
    /// space. Input that arrived before may be unread.
    func peerClosed(_ token: SocketToken)

    /// A mailbox of this loop received a message: drain all mailboxes. May be called without a
    /// message.
    func messagesWaiting()

    /// The last call of a turn, before the loop sleeps: write the output that the turn gathered.
    ///
    /// If work is left for another turn, call `EventLoop.requestTurn()`.
    func turnEnding()

    /// Called once per tick period. If the loop was busy for several periods, it ticks only once.
    func tick(now: MonotonicTime)

    /// The loop stops. It closes all its sockets when this returns, and calls no method afterwards.
    func loopStopping()
}

extension EventLoopHandler {
    public func peerClosed(_ token: SocketToken) {}
    public func messagesWaiting() {}
    public func turnEnding() {}
    public func tick(now: MonotonicTime) {}
    public func loopStopping() {}
}
