/// What happens on a loop, told to the one object that lives there, and to the guests that serve it.
///
/// Everything is called on the loop's thread, so an actor pinned to the loop answers with `assumeIsolated`. In a turn the order is:
/// `tick` and the sockets' events, `messagesWaiting`, the actors' jobs, `turnEnding`.
public protocol EventLoopHandler: AnyObject, Sendable {
    /// The socket can be read or written. After an error both are true: reading says what it was.
    ///
    /// Comes again in the next turn while it is so and the interest stands.
    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool)

    /// Somebody posted into a mailbox of this loop: drain every one of them. May come for nothing.
    func messagesWaiting()

    /// The last call of a turn, before the loop sleeps: write what the turn gathered.
    ///
    /// What is left for another turn asks for one with `EventLoop.runAgain()`.
    func turnEnding()

    /// Once per period of the loop. A loop that was busy for longer ticks once, not as often as it missed.
    func tick(now: MonotonicTime)

    /// The loop was told to stop. All its sockets are closed when this returns; nothing is called afterwards.
    func loopStopping()
}

extension EventLoopHandler {
    public func messagesWaiting() {}
    public func turnEnding() {}
    public func tick(now: MonotonicTime) {}
    public func loopStopping() {}
}
