internal import Glibc
internal import Synchronization

/// Carries finished lines to a file descriptor without making a loop wait for who reads it.
///
/// A thread of its own writes, one `write(2)` a line, because standard error may be a pipe that nobody empties, and
/// O_NONBLOCK would be set for everybody who shares it. At most `queueLimit` bytes wait; what comes then is dropped
/// and counted: a log may miss lines, a chat may not stand still for it.
public final class LogWriter: Sendable {
    private let queue: LineQueue

    /// - Parameters:
    ///   - descriptor: where to, standard error if not told otherwise; it stays open.
    ///   - queueLimit: bytes of lines that may wait.
    public init(descriptor: Int32 = 2, queueLimit: Int = 1 << 20) {
        self.queue = LineQueue(descriptor: descriptor, byteLimit: queueLimit)
        self.queue.startThread()
    }

    deinit {
        self.queue.stop()
    }

    /// How many lines were dropped so far.
    public var droppedCount: UInt64 { self.queue.state.withLock { $0.dropped } }

    /// Queues one line, which ends with a line feed.
    func append(_ line: [UInt8]) {
        let isFirst = self.queue.state.withLock { state in
            guard state.unwrittenBytes + line.count <= self.queue.byteLimit else {
                state.dropped += 1
                return false
            }
            state.unwrittenBytes += line.count
            state.lines.append(line)
            return state.lines.count == 1
        }
        if isFirst { self.queue.wakeUp.post() }
    }

    /// How many lines were dropped and not told of yet; asked when there is room again, and then told of once.
    func consumeUnreportedDropCount() -> UInt64 {
        self.queue.state.withLock { state in
            guard state.dropped > state.reportedDrops,
                state.unwrittenBytes < self.queue.byteLimit / 2
            else { return 0 }
            defer { state.reportedDrops = state.dropped }
            return state.dropped - state.reportedDrops
        }
    }

    /// Waits until what was queued is written or `limit` has passed. False when something is left.
    public func flush(within limit: Duration) -> Bool {
        let deadline = ContinuousClock.now + limit
        while true {
            let isEmpty = self.queue.state.withLock { state in
                if state.unwrittenBytes > 0 { state.flushWaiters += 1 }
                return state.unwrittenBytes == 0
            }
            if isEmpty { return true }
            let left = deadline - .now
            guard left > .zero, self.queue.drained.wait(for: left) else {
                // Whether it was emptied meanwhile or not: a post that nobody awaits is harmless, the loop above asks again.
                return self.queue.state.withLock { $0.unwrittenBytes == 0 }
            }
        }
    }
}

/// What the callers and the thread share. The thread holds it, so that it lives until the last line is written.
private final class LineQueue: Sendable {
    struct State {
        var lines: [[UInt8]] = []
        /// Bytes not yet written, those included that the thread has taken.
        var unwrittenBytes = 0
        var dropped: UInt64 = 0
        var reportedDrops: UInt64 = 0
        var flushWaiters = 0
        var isStopped = false
    }

    let descriptor: Int32
    let byteLimit: Int
    let state = Mutex(State())
    let wakeUp = Semaphore()
    let drained = Semaphore()

    init(descriptor: Int32, byteLimit: Int) {
        self.descriptor = descriptor
        self.byteLimit = byteLimit
    }

    func stop() {
        self.state.withLock { $0.isStopped = true }
        self.wakeUp.post()
    }

    func startThread() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        // Signals belong to the loops: the thread is born with all of them blocked, SIGPIPE among them.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        let failure = pthread_create(&thread, nil, Self.threadMain, context)
        pthread_sigmask(SIG_SETMASK, &before, nil)
        precondition(failure == 0, "no thread for the log: error \(failure)")
        pthread_detach(thread)
    }

    private static let threadMain:
        @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
            guard let context else { return nil }
            Unmanaged<LineQueue>.fromOpaque(context).takeRetainedValue().run()
            return nil
        }

    private func run() {
        var lines: [[UInt8]] = []
        while true {
            self.wakeUp.wait()
            let isStopped = self.state.withLock { state in
                swap(&state.lines, &lines)
                return state.isStopped
            }
            for line in lines {
                let isWritten = self.write(line)
                let waiters = self.state.withLock { state in
                    if !isWritten { state.dropped += 1 }
                    state.unwrittenBytes -= line.count
                    guard state.unwrittenBytes == 0 else { return 0 }
                    defer { state.flushWaiters = 0 }
                    return state.flushWaiters
                }
                for _ in 0..<waiters { self.drained.post() }
            }
            lines.removeAll(keepingCapacity: lines.count < 1024)
            if isStopped { return }
        }
    }

    /// False when the descriptor takes nothing any more (its reader is gone, the disk is full).
    private func write(_ line: [UInt8]) -> Bool {
        line.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(
                    self.descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count >= 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    // Somebody who shares the descriptor has made it non-blocking.
                    var waiting = pollfd(fd: self.descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&waiting, 1, -1)
                } else if errno != EINTR {
                    return false
                }
            }
            return true
        }
    }
}

/// A POSIX semaphore at a fixed address.
private final class Semaphore: @unchecked Sendable {
    // Unchecked because the pointer is: sem_post and sem_wait are made for several threads.
    private let pointer: UnsafeMutablePointer<sem_t>

    init() {
        self.pointer = .allocate(capacity: 1)
        sem_init(self.pointer, 0, 0)
    }

    deinit {
        sem_destroy(self.pointer)
        self.pointer.deallocate()
    }

    func post() {
        sem_post(self.pointer)
    }

    func wait() {
        while sem_wait(self.pointer) != 0 {}
    }

    /// False when `limit` passed first.
    func wait(for limit: Duration) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        let nanoseconds = Int(limit / .nanoseconds(1)) + deadline.tv_nsec
        deadline.tv_sec += nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        while sem_timedwait(self.pointer, &deadline) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }
}
