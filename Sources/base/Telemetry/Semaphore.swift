internal import Glibc

/// A POSIX semaphore at a fixed address.
public final class Semaphore: @unchecked Sendable {
    // Unchecked because of the pointer. sem_post and sem_wait may be called from several threads.
    private let pointer: UnsafeMutablePointer<sem_t>

    public init() {
        self.pointer = .allocate(capacity: 1)
        sem_init(self.pointer, 0, 0)
    }

    deinit {
        sem_destroy(self.pointer)
        self.pointer.deallocate()
    }

    public func post() {
        sem_post(self.pointer)
    }

    public func wait() {
        while sem_wait(self.pointer) != 0 {}
    }

    /// Returns false if `limit` has passed first.
    public func wait(for limit: Duration) -> Bool {
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
