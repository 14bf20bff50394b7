/// What other threads gave a loop to run, and whether it still runs at all.
struct LoopInbox {
    enum Life { case running, stopping, ended, endedAndServed }

    var jobs: [UnownedJob] = []
    var works: [@Sendable () -> Void] = []
    var life = Life.running

    var isEmpty: Bool { self.jobs.isEmpty && self.works.isEmpty }
    /// One thing in it: whoever put it there rings.
    var holdsOne: Bool { self.jobs.count + self.works.count == 1 }
}
