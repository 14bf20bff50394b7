import ChatModel
internal import Glibc

/// The thread of all searches of a store. It works at most half of the time, and runs a few
/// searches in turns, so that a short one does not wait for the end of a long one.
final class SearchThread: Sendable {
    /// Executes a slice. Nil if the search must be continued.
    typealias Slice = (inout SearchScan) -> StoreAnswer?

    let queue = RequestQueue(countLimit: SearchAdmission.countLimit, byteLimit: .max)
    private let thread: StoreThread

    init(_ slice: sending @escaping Slice) {
        let loop = SearchLoop(self.queue, slice)
        self.thread = StoreThread(name: "store-search", loop.run)
    }

    func submit(_ submission: Submission) -> RequestQueue.EnqueueResult {
        self.queue.enqueue(submission)
    }

    /// Ends the searches without results, and the thread after its present slice. To be called
    /// once.
    func close() {
        self.queue.close()
        self.thread.isCurrent ? self.thread.detach() : self.thread.join()
    }
}

/// The loop of a search thread.
private final class SearchLoop {
    /// The most searches that take turns; the others wait in the queue.
    private static let activeLimit = 8

    private struct ActiveSearch {
        var scan: SearchScan
        let submission: Submission
    }

    private let queue: RequestQueue
    private let slice: SearchThread.Slice
    private let clock = ContinuousClock()
    private var duty = DutyCycle()
    /// In the order of their next slices.
    private var active: [ActiveSearch] = []

    init(_ queue: RequestQueue, _ slice: @escaping SearchThread.Slice) {
        self.queue = queue
        self.slice = slice
    }

    func run() {
        while self.dequeue() {
            let start = self.clock.now
            if !self.active.isEmpty { self.runSlice() }
            let end = self.clock.now
            let rest = self.duty.worked(for: end - start)
            guard rest > .zero else { continue }
            usleep(UInt32(clamping: Int(rest / .microseconds(1))))
            self.duty.rested(for: self.clock.now - end)
        }
    }

    /// Gets searches, and waits for one if there is none.
    ///
    /// - Returns: false if the queue is closed.
    private func dequeue() -> Bool {
        let place = Self.activeLimit - self.active.count
        var submissions: [Submission] = []
        let start = self.clock.now
        var isOpen = true
        if place > 0 {
            let isIdle = self.active.isEmpty
            isOpen = self.queue.dequeue(
                into: &submissions, writeLimit: place, waitingAtMost: isIdle ? nil : .zero)
            if isIdle { self.duty.rested(for: self.clock.now - start) }
        }
        for submission in submissions {
            guard let scan = SearchScan(submission.request) else { continue }
            self.active.append(ActiveSearch(scan: scan, submission: submission))
        }
        guard !isOpen || self.queue.isClosed else { return true }
        for search in self.active {
            self.answer(search, .failed(StoreFailure("the store is closed", effect: .none)))
        }
        self.active = []
        // Those that still wait get the same answer.
        return isOpen
    }

    private func runSlice() {
        var search = self.active.removeFirst()
        if search.scan.permit?.isCancelled == true {
            return self.answer(search, .searchRefused(.cancelled))
        }
        search.scan.beginSlice()
        if let answer = self.slice(&search.scan) {
            self.answer(search, answer)
        } else {
            self.active.append(search)
        }
    }

    private func answer(_ search: ActiveSearch, _ answer: StoreAnswer) {
        search.submission.client.storeAnswered(answer, ticket: search.submission.ticket)
    }
}
