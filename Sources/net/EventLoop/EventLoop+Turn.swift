import Synchronization

extension EventLoop {
    /// How long the turns of this loop took, from the first event to the last write. During a turn,
    /// everything else on the loop waits.
    public struct TurnStatistics: Sendable, Equatable {
        public var count: UInt64 = 0
        public var lastNanoseconds: Int64 = 0
        public var longestNanoseconds: Int64 = 0
        public var totalNanoseconds: Int64 = 0
    }

    /// On the loop: the statistics of all turns before this one.
    public var turnStatistics: TurnStatistics {
        self.expectCurrent()
        return self.state.pointee.turnStatistics
    }

    /// On the loop: when this turn began (`MonotonicTime.exact`). Reading it costs no clock call.
    public var turnStart: MonotonicTime {
        self.expectCurrent()
        return MonotonicTime(nanoseconds: self.state.pointee.turnStart)
    }

    /// On the loop: returns the statistics and resets them.
    public func resetTurnStatistics() -> TurnStatistics {
        self.expectCurrent()
        defer { self.state.pointee.turnStatistics = TurnStatistics() }
        return self.state.pointee.turnStatistics
    }
}

extension EventLoop {
    /// The first step after the loop slept.
    func beginTurn() {
        self.state.pointee.turnStart = MonotonicTime.exact.nanoseconds
        // From now on other threads need no system call to wake this loop.
        if self.wakeupEvent.consumeWakeup() { self.state.pointee.hasPendingMessages = true }
    }

    /// The part of a turn that runs after the tick and the socket events, just before the loop
    /// sleeps.
    ///
    /// - Returns: whether the loop may sleep, or nil if it has stopped.
    func endTurn() -> Bool? {
        // Jobs can create more jobs and messages. At most eight rounds run before the sockets get
        // their turn.
        for _ in 0..<8 {
            if self.wakeupEvent.consumeWakeup() { self.state.pointee.hasPendingMessages = true }
            if self.state.pointee.hasPendingMessages {
                self.state.pointee.hasPendingMessages = false
                self.notifyHandlers { $0.messagesWaiting() }
                self.drainInbox()
            }
            if !self.runJobs() && !self.state.pointee.hasPendingMessages { break }
        }
        self.notifyHandlers { $0.turnEnding() }
        if self.state.pointee.isStopping {
            self.notifyHandlers { $0.loopStopping() }
            self.closeAllSockets()
            return nil
        }
        self.closeRetired()
        let hasMore =
            self.state.pointee.isTurnRequested || self.state.pointee.hasPendingMessages
            || !self.state.pointee.jobs.isEmpty
        self.state.pointee.isTurnRequested = false
        let maySleep = !hasMore && self.wakeupEvent.prepareToSleep()
        self.recordTurn()
        return maySleep
    }

    private func recordTurn() {
        let length = MonotonicTime.exact.nanoseconds &- self.state.pointee.turnStart
        self.state.pointee.turnStatistics.count &+= 1
        self.state.pointee.turnStatistics.lastNanoseconds = length
        self.state.pointee.turnStatistics.totalNanoseconds &+= length
        if length > self.state.pointee.turnStatistics.longestNanoseconds {
            self.state.pointee.turnStatistics.longestNanoseconds = length
        }
    }

    /// Runs the jobs that are queued now, not the ones that these jobs create. Returns false if
    /// there were none.
    private func runJobs() -> Bool {
        if self.state.pointee.jobs.isEmpty { return false }
        var batch: [UnownedJob] = []
        swap(&batch, &self.state.pointee.spareJobs)
        swap(&batch, &self.state.pointee.jobs)
        for job in batch {
            job.runSynchronously(
                isolatedTo: self.asUnownedSerialExecutor(),
                taskExecutor: self.asUnownedTaskExecutor())
        }
        // Keeps the capacity of an ordinary turn and releases that of a burst.
        batch.removeAll(keepingCapacity: batch.capacity <= 4096)
        self.state.pointee.spareJobs = batch
        return true
    }

    /// Moves the jobs from the inbox to the loop and runs the closures.
    private func drainInbox() {
        let (closures, isStopping) = self.inbox.withLock { inbox in
            if self.state.pointee.jobs.isEmpty {
                swap(&inbox.jobs, &self.state.pointee.jobs)
            } else {
                self.state.pointee.jobs.append(contentsOf: inbox.jobs)
                inbox.jobs.removeAll(keepingCapacity: inbox.jobs.capacity <= 4096)
            }
            let closures = inbox.closures
            if !closures.isEmpty { inbox.closures = [] }
            return (closures, inbox.lifecycle != .running)
        }
        if isStopping { self.state.pointee.isStopping = true }
        for closure in closures { closure() }
    }

    /// The thread's main function: runs turns until the loop is stopped, and then the remaining
    /// jobs.
    func run() {
        self.becomeCurrent()
        self.beginTurn()
        while let maySleep = self.endTurn() { self.wait(sleeping: maySleep) }
        self.finish()
    }

    /// The end of the loop, after its last turn.
    func finish() {
        self.state.pointee.releaseHandlers()
        self.runRemainingJobs()
    }

    /// Afterwards no socket is open, and none can be opened.
    private func closeAllSockets() {
        self.state.pointee.isClosed = true
        for slot in self.state.pointee.sockets.occupiedSlots {
            self.state.pointee.sockets.retire(slot)
        }
        self.closeRetired()
    }

    /// Runs jobs that arrived too late for a turn, until none is left. Otherwise tasks that await
    /// them would wait for ever.
    func runRemainingJobs() {
        self.becomeCurrent()
        defer { self.resignCurrent() }
        repeat {
            self.drainInbox()
            while self.runJobs() {}
        } while !self.inbox.withLock {
            if $0.isEmpty { $0.lifecycle = .ended }
            return $0.isEmpty
        }
    }
}
