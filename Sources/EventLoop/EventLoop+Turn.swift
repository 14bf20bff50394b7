import Synchronization

extension EventLoop {
    /// How long this loop's turns took, from the first event to the last write. While one lasts, everybody else on the loop waits.
    public struct Turns: Sendable, Equatable {
        public var count: UInt64 = 0
        public var lastNanoseconds: Int64 = 0
        public var longestNanoseconds: Int64 = 0
        public var totalNanoseconds: Int64 = 0
    }

    /// On the loop: all turns before this one.
    public var turns: Turns {
        self.expectCurrent()
        return self.body.pointee.turns
    }

    /// On the loop: as `turns`, and counts anew from here.
    public func takeTurns() -> Turns {
        self.expectCurrent()
        defer { self.body.pointee.turns = Turns() }
        return self.body.pointee.turns
    }
}

extension EventLoop {
    /// What comes first after the loop slept.
    func beginTurn() {
        self.body.pointee.turnStart = MonotonicTime.exact.nanoseconds
        // From here on nobody needs to wake this loop by a system call.
        if self.alarm.takeRing() { self.body.pointee.mailWaits = true }
    }

    /// All but the sockets' events and the tick: what runs just before the loop sleeps.
    ///
    /// - Returns: whether it may sleep; nil when it has stopped.
    private func endTurn() -> Bool? {
        // So many times what came up while jobs ran is run too; then the sockets must have their turn.
        for _ in 0..<8 {
            if self.alarm.takeRing() { self.body.pointee.mailWaits = true }
            if self.body.pointee.mailWaits {
                self.body.pointee.mailWaits = false
                self.tellAll { $0.messagesWaiting() }
                self.takeInbox()
            }
            if !self.runJobs() && !self.body.pointee.mailWaits { break }
        }
        self.tellAll { $0.turnEnding() }
        if self.body.pointee.isStopping {
            self.tellAll { $0.loopStopping() }
            self.closeEverything()
            return nil
        }
        self.closeRetired()
        let hasMore = self.body.pointee.anotherTurnAsked || self.body.pointee.mailWaits || !self.body.pointee.jobs.isEmpty
        self.body.pointee.anotherTurnAsked = false
        let maySleep = !hasMore && self.alarm.fallAsleep()
        self.recordTurn()
        return maySleep
    }

    private func recordTurn() {
        let length = MonotonicTime.exact.nanoseconds &- self.body.pointee.turnStart
        self.body.pointee.turns.count &+= 1
        self.body.pointee.turns.lastNanoseconds = length
        self.body.pointee.turns.totalNanoseconds &+= length
        if length > self.body.pointee.turns.longestNanoseconds { self.body.pointee.turns.longestNanoseconds = length }
    }

    /// Runs the jobs that are here, not those that they make. False when there were none.
    private func runJobs() -> Bool {
        if self.body.pointee.jobs.isEmpty { return false }
        var batch: [UnownedJob] = []
        swap(&batch, &self.body.pointee.spareJobs)
        swap(&batch, &self.body.pointee.jobs)
        for job in batch { job.runSynchronously(isolatedTo: self.asUnownedSerialExecutor(), taskExecutor: self.asUnownedTaskExecutor()) }
        // Room for an ordinary turn is kept; what a burst took is given back.
        batch.removeAll(keepingCapacity: batch.capacity <= 4096)
        self.body.pointee.spareJobs = batch
        return true
    }

    /// Takes the jobs over and runs the closures.
    private func takeInbox() {
        let (works, isStopping) = self.inbox.withLock { inbox in
            if self.body.pointee.jobs.isEmpty {
                swap(&inbox.jobs, &self.body.pointee.jobs)
            } else {
                self.body.pointee.jobs.append(contentsOf: inbox.jobs)
                inbox.jobs.removeAll(keepingCapacity: inbox.jobs.capacity <= 4096)
            }
            let works = inbox.works
            if !works.isEmpty { inbox.works = [] }
            return (works, inbox.life != .running)
        }
        if isStopping { self.body.pointee.isStopping = true }
        for work in works { work() }
    }

    /// The thread: turns until the loop is stopped, then what is left.
    func run() {
        self.becomeCurrent()
        self.beginTurn()
        while let maySleep = self.endTurn() { self.wait(sleeping: maySleep) }
        self.body.pointee.forgetListeners()
        self.runLeftovers()
    }

    /// No socket is open afterwards, and none can be opened.
    private func closeEverything() {
        self.body.pointee.isClosed = true
        for slot in self.body.pointee.sockets.living { self.body.pointee.sockets.retire(slot) }
        self.closeRetired()
    }

    /// Runs jobs that came too late for a turn, until there are none. Whoever awaits them must not wait for ever.
    func runLeftovers() {
        self.becomeCurrent()
        defer { self.resignCurrent() }
        repeat {
            self.takeInbox()
            while self.runJobs() {}
        } while !self.inbox.withLock {
            if $0.isEmpty { $0.life = .ended }
            return $0.isEmpty
        }
    }
}
