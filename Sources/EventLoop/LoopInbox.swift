/// What other threads gave a loop to run, and whether it still runs at all.
///
/// The one list here without a bound: a job that is refused is a task that never ends. It holds at most one for each task that is
/// waiting for an actor of the loop, so whoever starts tasks bounds it. Messages go through a `Mailbox`.
struct LoopInbox {
    enum LoopLifecycle { case running, stopping, ended, drainingAfterEnd }

    var jobs: [UnownedJob] = []
    var closures: [@Sendable () -> Void] = []
    var lifecycle = LoopLifecycle.running

    var isEmpty: Bool { self.jobs.isEmpty && self.closures.isEmpty }
    /// One thing in it: whoever put it there rings.
    var hasExactlyOne: Bool { self.jobs.count + self.closures.count == 1 }
}
