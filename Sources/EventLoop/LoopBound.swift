/// State that belongs to a loop and is touched on nearly every event.
///
/// Beside an actor pinned to the loop, not instead of it: `assumeIsolated` asks the concurrency runtime who runs here, which outside
/// of a job takes 110 ns and an allocation for every event. This asks the loop, in 4 ns, and so may be entered both from the
/// handler's callbacks and from the actor's own functions. Being entered from elsewhere, or while it is entered, ends the process.
public final class LoopBound<State>: @unchecked Sendable {
    // Unchecked because `with` sees to it that only the loop's thread gets at the pointer.
    public let loop: EventLoop
    @usableFromInline let cell: UnsafeMutablePointer<(isEntered: Bool, state: State)>

    /// Gives `state` to `loop`. Nobody else may keep what is in it.
    public init(_ state: sending State, on loop: EventLoop) {
        self.loop = loop
        self.cell = .allocate(capacity: 1)
        self.cell.initialize(to: (false, state))
    }

    deinit {
        self.cell.deinitialize(count: 1)
        self.cell.deallocate()
    }

    /// On the loop: reads or changes the state. `body` calls nothing that enters it again.
    @inlinable
    @inline(__always)
    public func with<Result, Failure: Error>(_ body: (inout State) throws(Failure) -> Result)
        throws(Failure) -> Result
    {
        precondition(self.loop.isCurrent, "The state of a loop was entered from outside of it.")
        precondition(
            !self.cell.pointee.isEntered, "The state of a loop was entered while it was entered.")
        self.cell.pointee.isEntered = true
        defer { self.cell.pointee.isEntered = false }
        return try body(&self.cell.pointee.state)
    }
}
