internal import CLinux
import Glibc
import Synchronization

/// Wakes a loop from other threads, with a system call only when it really sleeps.
///
/// Its descriptor stays open for as long as anybody holds the loop: another thread cannot know that the loop has ended.
struct WakeupEvent: ~Copyable {
    private enum State {
        static let awake: UInt8 = 0  // will look at its lists before it sleeps
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

    /// Makes the loop look at its lists. Called after something was put into one.
    func wake() {
        guard self.state.exchange(State.pending, ordering: .acquiringAndReleasing) == State.asleep
        else { return }
        var one: UInt64 = 1
        write(self.descriptor, &one, 8)
    }

    /// Whether it was rung since the last call. To be followed by a look at the lists.
    func consumeWakeup() -> Bool {
        self.state.exchange(State.awake, ordering: .acquiringAndReleasing) == State.pending
    }

    /// From here on a ring costs a system call and ends the sleep; false when one came before.
    func prepareToSleep() -> Bool {
        self.state.compareExchange(
            expected: State.awake, desired: State.asleep, ordering: .acquiringAndReleasing
        ).exchanged
    }
}
