import Glibc
import Synchronization

/// A thread that waits for socket events and runs actors.
///
/// An actor whose `unownedExecutor` is a loop runs only on that loop's thread. A task that prefers
/// the loop also runs there while it is not isolated to an actor.
///
/// The loop notifies its handler, usually such an actor, of socket events, messages and time.
/// Methods marked "on the loop" must be called on the loop's thread, and they check this.
public final class EventLoop: SerialExecutor, TaskExecutor, Sendable {
    public let name: String

    // Everything except the inbox and the wake-up event belongs to the loop's thread. Every entry
    // point checks `isCurrent`.
    nonisolated(unsafe) let state: UnsafeMutablePointer<LoopThreadState>
    let inbox = Mutex(LoopInbox())
    let wakeupEvent: WakeupEvent
    private let thread = Mutex<LoopThread?>(nil)
    /// The machine that runs the loop's turns instead of a thread; nil outside a simulation.
    let machine: SimulatedMachine?

    /// Starts a loop that ticks every `tickPeriod`, at least one millisecond. The caller must stop
    /// and join the loop.
    ///
    /// On a `SimulatedMachine` it has no thread: the machine runs its turns.
    public static func start(name: String, tickPeriod: Duration = .milliseconds(100))
        throws(SocketError) -> EventLoop
    {
        ProcessSetup.ignoreBrokenPipes()
        let loop = try EventLoop(name: name, tickPeriod: tickPeriod)
        if let machine = loop.machine {
            machine.add(loop)
            return loop
        }
        // The thread keeps a reference to the loop until it ends.
        let thread = try LoopThread(name: name) { loop.run() }
        loop.thread.withLock { $0 = thread }
        return loop
    }

    /// Makes the loop run its queued work, close its sockets and end. Returns at once. May be
    /// called from any thread and more than once.
    public func stop() {
        let isFirst = self.inbox.withLock {
            guard $0.lifecycle == .running else { return false }
            $0.lifecycle = .stopping
            return true
        }
        if isFirst { self.wakeUp() }
    }

    /// Waits until the thread ends. Call `stop()` first. Never call it on this loop or on a loop
    /// for which others wait.
    public func join() {
        precondition(!self.isCurrent, "The loop \(self.name) cannot wait for its own end.")
        if let machine { return machine.end(self) }
        self.thread.withLock { $0 }?.join()
    }

    /// Runs `work` on the loop, later in this turn or in the next one. Each call allocates a
    /// closure, so use a `Mailbox` for messages.
    public func execute(_ work: @escaping @Sendable () -> Void) {
        self.addToInbox { $0.closures.append(work) }
    }

    /// Makes `handler` the main handler of this loop until the loop ends. It replaces the previous
    /// one.
    public func setHandler(_ handler: any EventLoopHandler) {
        self.execute {
            self.state.pointee.handler = handler
            // Messages that were posted earlier have already woken the loop, and no handler
            // received them.
            self.state.pointee.hasPendingMessages = true
            self.state.pointee.isTurnRequested = true
        }
    }

    /// On the loop: adds a handler, until the loop ends. It is notified of the sockets registered
    /// for it, and of all other events right after the main handler. A loop has at most 255
    /// additional handlers.
    ///
    /// For services that use sockets of their own on behalf of the main handler, such as the
    /// connection to a store.
    public func registerHandler(_ handler: any EventLoopHandler) {
        self.expectCurrent()
        precondition(
            self.state.pointee.additionalHandlers.count < 255,
            "The loop \(self.name) has too many handlers.")
        self.state.pointee.additionalHandlers.append(handler)
        self.state.pointee.hasPendingMessages = true
        self.state.pointee.isTurnRequested = true
    }

    /// On the loop: makes the next turn follow without sleep, after a poll of the sockets.
    public func requestTurn() {
        self.expectCurrent()
        self.state.pointee.isTurnRequested = true
    }

    init(name: String, tickPeriod: Duration) throws(SocketError) {
        precondition(
            tickPeriod >= .milliseconds(1),
            "A tick period of \(tickPeriod) is less than a millisecond.")
        let wakeupEvent = try WakeupEvent()
        let state = try LoopThreadState(tickNanoseconds: tickPeriod.wholeNanoseconds)
        self.name = name
        self.machine = SimulatedMachine.current
        self.wakeupEvent = wakeupEvent
        self.state = .allocate(capacity: 1)
        self.state.initialize(to: state)
        try self.registerWakeupSources()
    }

    deinit {
        self.state.pointee.deallocate()
        self.state.deinitialize(count: 1).deallocate()
    }
}

extension EventLoop {
    // Called for every job and event. The value is thread-specific, because reading the running
    // thread from a property of the loop would be a data race.
    private static let currentKey: pthread_key_t = {
        var key = pthread_key_t()
        precondition(pthread_key_create(&key, nil) == 0, "No key for thread values is left.")
        return key
    }()

    /// Whether the caller runs on this loop.
    public var isCurrent: Bool {
        pthread_getspecific(Self.currentKey)
            == UnsafeMutableRawPointer(Unmanaged.passUnretained(self).toOpaque())
    }

    func becomeCurrent() {
        pthread_setspecific(Self.currentKey, Unmanaged.passUnretained(self).toOpaque())
    }

    func resignCurrent() {
        pthread_setspecific(Self.currentKey, nil)
    }

    func expectCurrent(_ function: StaticString = #function) {
        precondition(
            self.isCurrent, "\(function) was called outside of the loop \(self.name).")
    }
}

extension EventLoop {
    // The default implementations of the standard library look up protocol conformances on every
    // call, and they are called for every job.
    @inlinable
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    @inlinable
    public func asUnownedTaskExecutor() -> UnownedTaskExecutor {
        UnownedTaskExecutor(ordinary: self)
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if self.isCurrent {
            self.state.pointee.jobs.append(job)
        } else {
            self.addToInbox { $0.jobs.append(job) }
        }
    }

    public func checkIsolated() {
        precondition(self.isCurrent, "Not on the loop \(self.name).")
    }

    public func isIsolatingCurrentContext() -> Bool? {
        self.isCurrent
    }

    /// Adds something to the inbox and makes sure that it is run, even after the loop has ended.
    private func addToInbox(_ add: (inout LoopInbox) -> Void) {
        enum Need { case nothing, wake, thread }
        let need: Need = self.inbox.withLock {
            add(&$0)
            if $0.lifecycle == .ended {
                $0.lifecycle = .drainingAfterEnd
                return .thread
            }
            return $0.hasExactlyOne ? .wake : .nothing
        }
        switch need {
        case .nothing: break
        case .wake: self.wakeUp()
        case .thread: LoopThread.runDetached(name: self.name) { self.runRemainingJobs() }
        }
    }

    /// Makes the loop check its inbox and mailboxes before it sleeps.
    func wakeUp() {
        if self.isCurrent {
            self.state.pointee.hasPendingMessages = true
        } else {
            self.wakeupEvent.wake()
        }
    }
}
