import Glibc
import Synchronization

/// A thread that waits for sockets, and on which actors run.
///
/// An actor whose `unownedExecutor` is the loop's runs on its thread only, and so does a task that prefers the loop, wherever it is in
/// no actor. The one object that the loop tells of sockets, mailboxes and time is its handler, usually such an actor. What is marked
/// "on the loop" below must be called from there, which is checked.
public final class EventLoop: SerialExecutor, TaskExecutor, Sendable {
    public let name: String

    // Everything but the inbox and the alarm belongs to the loop's thread; `isCurrent` guards every way in.
    nonisolated(unsafe) let state: UnsafeMutablePointer<LoopThreadState>
    let inbox = Mutex(LoopInbox())
    let wakeupEvent: WakeupEvent
    private let thread = Mutex<LoopThread?>(nil)

    /// Starts a loop that ticks every `tickPeriod`, which must be at least a millisecond. Whoever starts it stops and joins it.
    public static func start(name: String, tickPeriod: Duration = .milliseconds(100))
        throws(SocketError) -> EventLoop
    {
        ProcessSetup.ignoreBrokenPipes()
        let loop = try EventLoop(name: name, tickPeriod: tickPeriod)
        // The thread holds the loop until it ends.
        let thread = try LoopThread(name: name) { loop.run() }
        loop.thread.withLock { $0 = thread }
        return loop
    }

    /// Lets the loop run what it was given, close its sockets and end. Returns at once; any thread may call it, more than once.
    public func stop() {
        let isFirst = self.inbox.withLock {
            guard $0.lifecycle == .running else { return false }
            $0.lifecycle = .stopping
            return true
        }
        if isFirst { self.wakeUp() }
    }

    /// Waits for the thread to end, which `stop()` must have asked for. Never on a loop that others wait for, least of all this one.
    public func join() {
        precondition(!self.isCurrent, "The loop \(self.name) cannot wait for its own end.")
        self.thread.withLock { $0 }?.join()
    }

    /// Runs `work` on the loop, later in this turn or in the next. A closure each: for once in a while, never per message.
    public func execute(_ work: @escaping @Sendable () -> Void) {
        self.addToInbox { $0.closures.append(work) }
    }

    /// Makes `handler` the one whom this loop tells, in place of any other, until the loop ends.
    public func setHandler(_ handler: any EventLoopHandler) {
        self.execute {
            self.state.pointee.handler = handler
            // Whatever was posted before has rung already and found nobody.
            self.state.pointee.hasPendingMessages = true
            self.state.pointee.isTurnRequested = true
        }
    }

    /// On the loop: has `guest` told of the sockets that are registered for it, and of everything else right after the handler, until
    /// the loop ends. At most 255.
    ///
    /// For what serves the handler with sockets of its own, such as the connection to a store.
    public func registerHandler(_ guest: any EventLoopHandler) {
        self.expectCurrent()
        precondition(
            self.state.pointee.additionalHandlers.count < 255,
            "The loop \(self.name) has no room for another guest.")
        self.state.pointee.additionalHandlers.append(guest)
        self.state.pointee.hasPendingMessages = true
        self.state.pointee.isTurnRequested = true
    }

    /// On the loop: has the next turn follow at once, after a look at the sockets, without sleep.
    public func requestTurn() {
        self.expectCurrent()
        self.state.pointee.isTurnRequested = true
    }

    init(name: String, tickPeriod: Duration) throws(SocketError) {
        precondition(
            tickPeriod >= .milliseconds(1),
            "A tick period of \(tickPeriod) is less than a millisecond.")
        let alarm = try WakeupEvent()
        let body = try LoopThreadState(tickNanoseconds: tickPeriod.wholeNanoseconds)
        self.name = name
        self.wakeupEvent = alarm
        self.state = .allocate(capacity: 1)
        self.state.initialize(to: body)
        try self.registerWakeupSources()
    }

    deinit {
        self.state.pointee.deallocate()
        self.state.deinitialize(count: 1).deallocate()
    }
}

extension EventLoop {
    // One of these calls per job or event: a thread's own value, because reading who runs the loop from a property is a race.
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
            self.isCurrent, "\(function) was called from outside of the loop \(self.name).")
    }
}

extension EventLoop {
    // The standard library's own looks for conformances every time, and is called for every job.
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

    /// Puts something into the inbox and sees to it that somebody takes it out, be it after the loop's end.
    private func addToInbox(_ put: (inout LoopInbox) -> Void) {
        enum Need { case nothing, wake, thread }
        let need: Need = self.inbox.withLock {
            put(&$0)
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

    /// Makes the loop look at its inbox and mailboxes before it sleeps.
    func wakeUp() {
        if self.isCurrent {
            self.state.pointee.hasPendingMessages = true
        } else {
            self.wakeupEvent.wake()
        }
    }
}
