internal import Synchronization

/// Lets tasks wait until something is true, as a condition variable does for threads.
///
/// The state itself is elsewhere: behind a lock, or in an atomic. After each change of the state,
/// `notify` evaluates the conditions of all waiting tasks.
public final class TaskCondition: Sendable {
    private struct Waiter {
        let isFulfilled: @Sendable () -> Bool
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var waiters: [UInt64: Waiter] = [:]
        var lastID: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    /// Resumes the tasks whose conditions are fulfilled now. May be called on any thread.
    public func notify() {
        let fulfilled = self.state.withLock { state in
            let fulfilled = state.waiters.filter { $0.value.isFulfilled() }
            for id in fulfilled.keys { state.waiters[id] = nil }
            return fulfilled
        }
        for waiter in fulfilled.values { waiter.continuation.resume(returning: true) }
    }

    /// Waits until `isFulfilled` returns true. It is evaluated at once and at each notification,
    /// and must not use this condition itself.
    ///
    /// - Returns: false if the task was cancelled first.
    @discardableResult
    public func wait(until isFulfilled: @escaping @Sendable () -> Bool) async -> Bool {
        let id = self.state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let result: Bool? = self.state.withLock { state in
                    if isFulfilled() { return true }
                    // A task that is cancelled later finds the waiter in its handler.
                    if Task.isCancelled { return false }
                    state.waiters[id] = Waiter(isFulfilled: isFulfilled, continuation: continuation)
                    return nil
                }
                if let result { continuation.resume(returning: result) }
            }
        } onCancel: {
            let waiter = self.state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.continuation.resume(returning: false)
        }
    }

    /// Waits until `isFulfilled` returns true, but not longer than `limit`.
    ///
    /// - Returns: false if the time was over, or the task was cancelled first.
    @discardableResult
    public func wait(
        within limit: Duration, until isFulfilled: @escaping @Sendable () -> Bool
    ) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.wait(until: isFulfilled) }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            let isInTime = await group.next() ?? false
            group.cancelAll()
            return isInTime
        }
    }
}
