import Synchronization

extension EventLoop {
    /// How long this loop's turns took, from the first event to the last write. While one lasts, everybody else on the loop waits.
    public struct TurnStatistics: Sendable, Equatable {
        public var count: UInt64 = 0
        public var lastNanoseconds: Int64 = 0
        public var longestNanoseconds: Int64 = 0
        public var totalNanoseconds: Int64 = 0
    }

    /// On the loop: all turns before this one.
    public var turnStatistics: TurnStatistics {
        self.expectCurrent()
        return self.state.pointee.turnStatistics
    }

    /// On the loop: as `turns`, and counts anew from here.
    public func resetTurnStatistics() -> TurnStatistics {
        self.expectCurrent()
        defer { self.state.pointee.turnStatistics = TurnStatistics() }
        return self.state.pointee.turnStatistics
    }
}

extension EventLoop {
    /// What comes first after the loop slept.
    func beginTurn() {
        self.state.pointee.turnStart = MonotonicTime.exact.nanoseconds
        // From here on nobody needs to wake this loop by a system call.
        if self.wakeupEvent.consumeWakeup() { self.state.pointee.hasPendingMessages = true }
    }

    /// All but the sockets' events and the tick: what runs just before the loop sleeps.
    ///
    /// - Returns: whether it may sleep; nil when it has stopped.
    private func endTurn() -> Bool? {
        // So many times what came up while jobs ran is run too; then the sockets must have their turn.
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

    /// Runs the jobs that are here, not those that they make. False when there were none.
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
        // Room for an ordinary turn is kept; what a burst took is given back.
        batch.removeAll(keepingCapacity: batch.capacity <= 4096)
        self.state.pointee.spareJobs = batch
        return true
    }

    /// Takes the jobs over and runs the closures.
    private func drainInbox() {
        let (works, isStopping) = self.inbox.withLock { inbox in
            if self.state.pointee.jobs.isEmpty {
                swap(&inbox.jobs, &self.state.pointee.jobs)
            } else {
                self.state.pointee.jobs.append(contentsOf: inbox.jobs)
                inbox.jobs.removeAll(keepingCapacity: inbox.jobs.capacity <= 4096)
            }
            let works = inbox.closures
            if !works.isEmpty { inbox.closures = [] }
            return (works, inbox.lifecycle != .running)
        }
        if isStopping { self.state.pointee.isStopping = true }
        for work in works { work() }
    }

    /// The thread: turns until the loop is stopped, then what is left.
    func run() {
        self.becomeCurrent()
        self.beginTurn()
        while let maySleep = self.endTurn() { self.wait(sleeping: maySleep) }
        self.state.pointee.releaseHandlers()
        self.runRemainingJobs()
    }

    /// No socket is open afterwards, and none can be opened.
    private func closeAllSockets() {
        self.state.pointee.isClosed = true
        for slot in self.state.pointee.sockets.occupiedSlots {
            self.state.pointee.sockets.retire(slot)
        }
        self.closeRetired()
    }

    /// Runs jobs that came too late for a turn, until there are none. Whoever awaits them must not wait for ever.
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
