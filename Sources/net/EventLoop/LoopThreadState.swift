internal import CLinux
import Glibc

/// The state that only the loop's thread uses.
///
/// It is stored behind a pointer and not in the class. Each access to a class property is checked
/// for exclusivity, and these checks cost more than the rest of an event's dispatch. No method here
/// calls other code, so accesses never overlap.
struct LoopThreadState {
    /// The epoll descriptor (epoll(7)).
    let poll: Int32
    /// The timer descriptor that ends the sleep when a tick is due (timerfd_create(2)). It is set
    /// once per tick. With a timeout of epoll_wait, the kernel would set and cancel a timer for
    /// every sleep.
    let ticker: Int32
    /// The buffer to which the kernel writes events.
    let events = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: Self.eventLimit)
    let tickNanoseconds: Int64

    var handler: (any EventLoopHandler)?
    /// Handlers besides the main one. They are notified of their own sockets, and of all other
    /// events after the main handler.
    var additionalHandlers: [any EventLoopHandler] = []
    var sockets = SocketTable()

    /// Jobs that were enqueued on the loop's own thread or moved here from the inbox.
    var jobs: [UnownedJob] = []
    /// An empty array with capacity. It is swapped with `jobs` while the jobs run.
    var spareJobs: [UnownedJob] = []

    var hasPendingMessages = false
    var isTurnRequested = false
    var isStopping = false
    /// All sockets are closed or about to be, so no other may be opened.
    var isClosed = false

    /// The start of the turn and the time of the next tick, both from `MonotonicTime.exact`.
    var turnStart: Int64 = 0
    var nextTick: Int64
    var turnStatistics = EventLoop.TurnStatistics()
    var heapPrefault = HeapPrefault()

    /// The number of socket events that one turn handles. The remaining ones come first in the next
    /// turn.
    static let eventLimit = 1024

    init(tickNanoseconds: Int64) throws(SocketError) {
        self.poll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard self.poll >= 0 else {
            self.events.deallocate()
            throw SocketError(call: "epoll_create1", errno: errno)
        }
        self.tickNanoseconds = tickNanoseconds
        self.nextTick = MonotonicTime.exact.nanoseconds + tickNanoseconds
        self.ticker = timerfd_create(CLOCK_MONOTONIC, Int32(TFD_NONBLOCK | TFD_CLOEXEC))
        guard self.ticker >= 0 else {
            let code = errno
            self.events.deallocate()
            close(self.poll)
            throw SocketError(call: "timerfd_create", errno: code)
        }
        self.armTicker()
    }

    /// Sets the timer to the next tick.
    func armTicker() {
        let due = timespec(
            tv_sec: Int(self.nextTick / 1_000_000_000), tv_nsec: Int(self.nextTick % 1_000_000_000))
        var times = itimerspec(it_interval: timespec(), it_value: due)
        timerfd_settime(self.ticker, Int32(TFD_TIMER_ABSTIME), &times, nil)
    }

    /// Releases all handlers, because they may hold a reference to the loop.
    mutating func releaseHandlers() {
        self.handler = nil
        self.additionalHandlers = []
    }

    mutating func deallocate() {
        self.releaseHandlers()
        self.events.deallocate()
        close(self.ticker)
        close(self.poll)
    }
}
