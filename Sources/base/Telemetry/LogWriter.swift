internal import Glibc
internal import Synchronization

/// Writes complete lines to a file descriptor without blocking the loops.
///
/// A separate thread writes, with one `write(2)` per line. Standard error may be a pipe that is not
/// read, and O_NONBLOCK would apply to all processes that share it. At most `queueLimit` bytes are
/// queued. Further lines are dropped and counted: a log may lose lines, but must not block the
/// chat.
public final class LogWriter: Sendable {
    private let queue: LineQueue

    /// - Parameters:
    ///   - descriptor: the descriptor to write to, by default standard error. It stays open.
    ///   - queueLimit: the maximum number of queued bytes.
    public init(descriptor: Int32 = 2, queueLimit: Int = 1 << 20) {
        self.queue = LineQueue(descriptor: descriptor, byteLimit: queueLimit)
        self.queue.startThread()
    }

    deinit {
        self.queue.stop()
    }

    /// The number of lines dropped so far.
    public var droppedCount: UInt64 { self.queue.state.withLock { $0.dropped } }

    /// The newest lines, oldest first, also those that were dropped.
    public var recentLines: [String] { self.queue.state.withLock { $0.recent }.texts }

    /// Queues one line, which must end with a line feed.
    func append(_ line: [UInt8]) {
        let isFirst = self.queue.state.withLock { state in
            state.recent.append(line)
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

    /// The number of dropped lines that were not reported yet. Returns 0 until the queue has space
    /// again, and resets the number.
    func consumeUnreportedDropCount() -> UInt64 {
        self.queue.state.withLock { state in
            guard state.dropped > state.reportedDrops,
                state.unwrittenBytes < self.queue.byteLimit / 2
            else { return 0 }
            defer { state.reportedDrops = state.dropped }
            return state.dropped - state.reportedDrops
        }
    }

    /// Waits until all queued lines are written, for at most `limit`. Returns false if lines
    /// remain.
    public func flush(within limit: Duration) -> Bool {
        let deadline = ContinuousClock.now + limit
        while true {
            let isEmpty = self.queue.state.withLock { state in
                if state.unwrittenBytes > 0 { state.flushWaiters += 1 }
                return state.unwrittenBytes == 0
            }
            if isEmpty { return true }
            let timeLeft = deadline - .now
            guard timeLeft > .zero, self.queue.drained.wait(for: timeLeft) else {
                // The queue may have been drained in the meantime. A surplus post is harmless,
                // because the loop above checks again.
                return self.queue.state.withLock { $0.unwrittenBytes == 0 }
            }
        }
    }
}

/// The state that callers and the thread share. The thread keeps a reference, so it lives until the
/// last line is written.
private final class LineQueue: Sendable {
    struct State {
        var lines: [[UInt8]] = []
        /// The number of unwritten bytes, including those that the thread has dequeued.
        var unwrittenBytes = 0
        var dropped: UInt64 = 0
        var reportedDrops: UInt64 = 0
        var flushWaiters = 0
        var isStopped = false
        var recent = RecentLines()
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

    func startThread() { DetachedThread.start { self.run() } }

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

    /// Returns false if the descriptor accepts no more data, because its reader is gone or the disk
    /// is full.
    private func write(_ line: [UInt8]) -> Bool {
        line.withUnsafeBytes { bytes in
            var remaining = bytes[...]
            while !remaining.isEmpty {
                let count = Glibc.write(
                    self.descriptor, UnsafeRawBufferPointer(rebasing: remaining).baseAddress,
                    remaining.count)
                if count >= 0 {
                    remaining = remaining.dropFirst(count)
                } else if errno == EAGAIN {
                    // Another process that shares the descriptor has made it non-blocking.
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
