import ChatModel
internal import Glibc

/// A request that is queued for a thread of the store.
struct Submission {
    let request: StoreRequest
    let ticket: StoreTicket
    let client: any StoreClient
}

/// The requests queued for one thread, in order. The queue is bounded by a number of requests and
/// of bytes, and rejects requests beyond that.
///
/// It uses a mutex and a condition variable of the C library, because Synchronization has no
/// condition variable.
final class RequestQueue: @unchecked Sendable {
    // Unchecked: all properties below are accessed only while `lock` is held.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let arrival: UnsafeMutablePointer<pthread_cond_t>
    private let countLimit: Int
    private let byteLimit: Int
    private var waiting: [Submission] = []
    private var bytes = 0
    private var isConsumerWaiting = false
    private var hasClosed = false
    private var rejectedCount = 0

    enum EnqueueResult { case accepted, full, closed }

    init(countLimit: Int, byteLimit: Int) {
        self.countLimit = countLimit
        self.byteLimit = byteLimit
        self.lock = .allocate(capacity: 1)
        self.arrival = .allocate(capacity: 1)
        pthread_mutex_init(self.lock, nil)
        // The clock of the wait's limit, which no one sets.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(self.arrival, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(self.arrival)
        pthread_mutex_destroy(self.lock)
        self.arrival.deallocate()
        self.lock.deallocate()
    }

    func enqueue(_ submission: Submission) -> EnqueueResult {
        let size = submission.request.estimatedBytes
        pthread_mutex_lock(self.lock)
        defer { pthread_mutex_unlock(self.lock) }
        guard !self.hasClosed else { return .closed }
        guard self.waiting.count < self.countLimit,
            self.bytes + size <= self.byteLimit || self.waiting.isEmpty
        else {
            self.rejectedCount += 1
            return .full
        }
        self.waiting.append(submission)
        self.bytes += size
        if self.isConsumerWaiting {
            self.isConsumerWaiting = false
            pthread_cond_signal(self.arrival)
        }
        return .accepted
    }

    /// Waits for requests and dequeues them, up to about this many writes. Returns false when the
    /// queue is closed and empty.
    ///
    /// - Parameter limit: returns true without requests if none arrive for this long; nil waits for
    ///   ever.
    func dequeue(
        into dequeued: inout [Submission], writeLimit: Int, waitingAtMost limit: Duration? = nil
    ) -> Bool {
        pthread_mutex_lock(self.lock)
        defer { pthread_mutex_unlock(self.lock) }
        var deadline = limit.map(timespec.init(after:))
        while self.waiting.isEmpty {
            if self.hasClosed { return false }
            self.isConsumerWaiting = true
            guard deadline != nil else {
                pthread_cond_wait(self.arrival, self.lock)
                continue
            }
            if pthread_cond_timedwait(self.arrival, self.lock, &deadline!) == ETIMEDOUT,
                self.waiting.isEmpty
            {
                self.isConsumerWaiting = false
                return !self.hasClosed
            }
        }
        var writes = 0
        let count = self.waiting.firstIndex { submission in
            writes += submission.request.writeCount
            return writes > writeLimit
        }
        if let count, count > 0 || self.waiting.count > 1 {
            let dequeueCount = max(count, 1)
            dequeued.append(contentsOf: self.waiting[..<dequeueCount])
            self.waiting.removeFirst(dequeueCount)
            for submission in dequeued { self.bytes -= submission.request.estimatedBytes }
        } else {
            swap(&dequeued, &self.waiting)
            self.bytes = 0
        }
        return true
    }

    /// Rejects further requests; queued ones are still executed.
    func close() {
        pthread_mutex_lock(self.lock)
        self.hasClosed = true
        pthread_cond_broadcast(self.arrival)
        pthread_mutex_unlock(self.lock)
    }

    var isClosed: Bool {
        pthread_mutex_lock(self.lock)
        defer { pthread_mutex_unlock(self.lock) }
        return self.hasClosed
    }

    var state: (count: Int, bytes: Int, turnedAway: Int) {
        pthread_mutex_lock(self.lock)
        defer { pthread_mutex_unlock(self.lock) }
        return (self.waiting.count, self.bytes, self.rejectedCount)
    }
}

extension timespec {
    /// The time on the monotonic clock after a duration from now.
    fileprivate init(after duration: Duration) {
        self.init()
        clock_gettime(CLOCK_MONOTONIC, &self)
        let nanoseconds = self.tv_nsec + Int(duration / .nanoseconds(1))
        self.tv_sec += nanoseconds / 1_000_000_000
        self.tv_nsec = nanoseconds % 1_000_000_000
    }
}

extension StoreRequest {
    fileprivate var writeCount: Int {
        if case .write(let batch) = self { max(1, batch.writes.count) } else { 1 }
    }

    /// The approximate memory use of a queued request.
    fileprivate var estimatedBytes: Int {
        guard case .write(let batch) = self else { return 256 }
        return batch.writes.reduce(256) { $0 + $1.estimatedBytes }
    }
}

extension Write {
    fileprivate var estimatedBytes: Int {
        switch self.change {
        case .message(let message), .amend(let message, _, _):
            256 + message.body.content.utf8.count + (message.body.metadata?.count ?? 0)
                + (message.body.annotations?.estimatedBytes ?? 0)
        case .create, .update: 4096
        case .member, .remove, .cursors, .end, .skip: 256
        }
    }
}

extension MessageAnnotations {
    fileprivate var estimatedBytes: Int {
        let mentions = self.mentions.map { $0.users.count + $0.nonMembers.count } ?? 0
        let reactions = self.reactions?.groups.reduce(0) { $0 + 1 + $1.users.count } ?? 0
        return 256 + 32 * (mentions + reactions)
    }
}
