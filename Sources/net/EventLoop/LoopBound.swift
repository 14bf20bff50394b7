/// State that belongs to a loop and is accessed in nearly every event.
///
/// It complements an actor pinned to the loop. Outside of a job, `assumeIsolated` asks the
/// concurrency runtime for the current executor, which costs 110 ns and an allocation per event.
/// This type asks the loop in 4 ns. Both handler callbacks and the actor's own functions can access
/// the state.
///
/// The process ends if another thread accesses the state, or if accesses overlap.
public final class LoopBound<State>: @unchecked Sendable {
    // Unchecked because `with` ensures that only the loop's thread uses the pointer.
    public let loop: EventLoop
    @usableFromInline let cell: UnsafeMutablePointer<(isEntered: Bool, state: State)>

    /// Transfers `state` to `loop`. No other code may keep a reference to its contents.
    public init(_ state: sending State, on loop: EventLoop) {
        self.loop = loop
        self.cell = .allocate(capacity: 1)
        self.cell.initialize(to: (false, state))
    }

    deinit {
        self.cell.deinitialize(count: 1)
        self.cell.deallocate()
    }

    /// On the loop: reads or changes the state. `body` must not access the state again.
    @inlinable
    @inline(__always)
    public func with<Result, Failure: Error>(_ body: (inout State) throws(Failure) -> Result)
        throws(Failure) -> Result
    {
        precondition(self.loop.isCurrent, "The state of a loop was accessed outside of it.")
        precondition(
            !self.cell.pointee.isEntered, "The state of a loop was accessed during another access.")
        self.cell.pointee.isEntered = true
        defer { self.cell.pointee.isEntered = false }
        return try body(&self.cell.pointee.state)
    }
}
