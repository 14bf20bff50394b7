/// Work that other threads passed to a loop, and whether the loop still runs.
///
/// This list has no bound, because a rejected job is a task that never ends. It contains at most
/// one job per task that waits for an actor of the loop, so the code that starts tasks bounds it.
/// Messages use a `Mailbox`.
struct LoopInbox {
    enum LoopLifecycle { case running, stopping, ended, drainingAfterEnd }

    var jobs: [UnownedJob] = []
    var closures: [@Sendable () -> Void] = []
    var lifecycle = LoopLifecycle.running

    var isEmpty: Bool { self.jobs.isEmpty && self.closures.isEmpty }
    /// The inbox was empty before: the caller must wake the loop.
    var hasExactlyOne: Bool { self.jobs.count + self.closures.count == 1 }
}
