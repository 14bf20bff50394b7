internal import CLinux
import Glibc
import Synchronization

/// Wakes a loop from other threads. It makes a system call only if the loop is really asleep.
///
/// The descriptor stays open as long as any reference to the loop exists, because another thread
/// cannot know that the loop has ended.
struct WakeupEvent: ~Copyable {
    private enum State {
        static let awake: UInt8 = 0  // checks its queues before it sleeps
        static let asleep: UInt8 = 1
        static let pending: UInt8 = 2
    }

    let descriptor: Int32
    private let state = Atomic<UInt8>(State.awake)

    init() throws(SocketError) {
        let descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard descriptor >= 0 else { throw SocketError(call: "eventfd", errno: errno) }
        self.descriptor = descriptor
    }

    deinit {
        close(self.descriptor)
    }

    /// Makes the loop check its queues. Call it after something was added to one of them.
    func wake() {
        guard self.state.exchange(State.pending, ordering: .acquiringAndReleasing) == State.asleep
        else { return }
        var one: UInt64 = 1
        write(self.descriptor, &one, 8)
    }

    /// Whether `wake()` was called since the last call of this method. The loop must check its
    /// queues afterwards.
    func consumeWakeup() -> Bool {
        self.state.exchange(State.awake, ordering: .acquiringAndReleasing) == State.pending
    }

    /// Whether `wake()` was called since the last call of `consumeWakeup()`.
    var isPending: Bool { self.state.load(ordering: .acquiring) == State.pending }

    /// Announces that the loop goes to sleep: from now on, `wake()` makes a system call. Returns
    /// false if a wake-up is already pending; the loop must then not sleep.
    func prepareToSleep() -> Bool {
        self.state.compareExchange(
            expected: State.awake, desired: State.asleep, ordering: .acquiringAndReleasing
        ).exchanged
    }
}
