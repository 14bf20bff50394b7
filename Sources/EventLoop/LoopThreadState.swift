internal import CLinux
import Glibc

/// What belongs to the loop's thread alone.
///
/// It lives behind a pointer and not in the class: every access to a class's property is checked for exclusivity, which costs more
/// than the rest of handing on an event. Nothing here calls out, so no access is ever inside another.
struct LoopThreadState {
    /// What the kernel watches for the loop (epoll(7)).
    let poll: Int32
    /// Ends the loop's sleep when a tick is due (timerfd_create(2)). It is set once for each tick: for a time-out the kernel would set a timer
    /// for each sleep, and take it back again.
    let ticker: Int32
    /// Where the kernel says what happened.
    let events = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: Self.eventLimit)
    let tickNanoseconds: Int64

    var handler: (any EventLoopHandler)?
    /// Others whom the loop tells of their own sockets, and of everything else after the handler.
    var additionalHandlers: [any EventLoopHandler] = []
    var sockets = SocketTable()

    /// Jobs that were enqueued on the loop's own thread, or taken from the inbox.
    var jobs: [UnownedJob] = []
    /// An empty array with room, to change for `jobs` while those run.
    var spareJobs: [UnownedJob] = []

    var hasPendingMessages = false
    var isTurnRequested = false
    var isStopping = false
    /// Every socket is closed, or about to be: no other may be opened.
    var isClosed = false

    /// When the turn began, when the next tick is due: of `MonotonicTime.exact`.
    var turnStart: Int64 = 0
    var nextTick: Int64
    var turnStatistics = EventLoop.TurnStatistics()
    var heapPrefault = HeapPrefault()

    /// So many sockets are told of their events in a turn at most; the others come first in the next one.
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

    /// For the next tick.
    func armTicker() {
        let due = timespec(
            tv_sec: Int(self.nextTick / 1_000_000_000), tv_nsec: Int(self.nextTick % 1_000_000_000))
        var times = itimerspec(it_interval: timespec(), it_value: due)
        timerfd_settime(self.ticker, Int32(TFD_TIMER_ABSTIME), &times, nil)
    }

    /// Lets go of everybody whom the loop told of something: they may hold the loop.
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
