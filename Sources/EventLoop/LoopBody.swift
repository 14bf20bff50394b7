internal import CUV

/// What belongs to the loop's thread alone.
///
/// It lives behind a pointer and not in the class: every access to a class's property is checked for exclusivity, which costs more
/// than the rest of handing on an event. Nothing here calls out, so no access is ever inside another.
struct LoopBody {
    let loop: UnsafeMutablePointer<uv_loop_t>
    let prepare: UnsafeMutablePointer<uv_prepare_t>
    let idle: UnsafeMutablePointer<uv_idle_t>
    let timer: UnsafeMutablePointer<uv_timer_t>
    let wake: UnsafeMutablePointer<uv_poll_t>

    var handler: (any EventLoopHandler)?
    /// Others whom the loop tells of their own sockets, and of everything else after the handler.
    var guests: [any EventLoopHandler] = []
    var sockets = SocketTable()
    var signals: [SignalHandle] = []

    /// Jobs that were enqueued on the loop's own thread, or taken from the inbox.
    var jobs: [UnownedJob] = []
    /// An empty array with room, to change for `jobs` while those run.
    var spareJobs: [UnownedJob] = []

    var mailWaits = false
    var anotherTurnAsked = false
    var isIdleActive = false
    var isStopping = false
    /// Every handle is closed, or about to be: no other may be opened.
    var isClosed = false

    var turnStart: Int64 = 0
    var turns = EventLoop.Turns()

    init() {
        self.loop = .allocate(capacity: 1)
        self.prepare = .allocate(capacity: 1)
        self.idle = .allocate(capacity: 1)
        self.timer = .allocate(capacity: 1)
        self.wake = .allocate(capacity: 1)
    }

    /// Lets go of everybody whom the loop told of something: they may hold the loop. After the loop is closed.
    mutating func forgetListeners() {
        self.handler = nil
        self.guests = []
        for signal in self.signals { signal.handle.deallocate() }
        self.signals = []
    }

    mutating func deallocate() {
        self.forgetListeners()
        self.sockets.deallocate()
        self.wake.deallocate()
        self.timer.deallocate()
        self.idle.deallocate()
        self.prepare.deallocate()
        self.loop.deallocate()
    }
}
