import ChatModel
import Cluster
import EmbeddedStore
import SeededRandom

/// A store in memory that takes its time, and sometimes has none.
///
/// Writes are done in the order in which a loop submitted them; reads are done when they like. What a request finds is
/// decided when it is done, which is neither when it was asked nor when it is answered.
struct SimulatedStore {
    enum FailureMode { case none, writes, everything }

    struct StoreJob {
        let loop: Int
        let node: Int
        let request: StoreRequest
        let ticket: StoreTicket
        /// What it carries to other nodes if all of it is stored.
        var envelopesWithWrite: [Envelope] = []
    }

    private var tables: MemoryTables
    /// While there are two masters: what the other one has, and the nodes that write to it.
    private var otherMaster: (tables: MemoryTables, nodes: Set<Int>)?
    /// What was there at some times of the last second, oldest first.
    private var snapshots: [(time: Int64, tables: MemoryTables)] = []
    /// Whether such times are kept.
    let losesData: Bool
    private var jobs: [Int: StoreJob] = [:]
    private var jobCount = 0
    private var writesOrderedThrough: [Int: Int64] = [:]
    private var answersOrderedThrough: [Int: Int64] = [:]
    var failure = FailureMode.none

    init(history: Int, isForgetful: Bool) {
        self.tables = MemoryTables(history: history)
        self.losesData = isForgetful
    }

    /// A failover: what was stored within so many milliseconds is gone, claims too.
    mutating func loseData(_ milliseconds: Int64, at now: Int64) {
        if let state = self.snapshots.last(where: { $0.time <= now - milliseconds })
            ?? self.snapshots.first
        {
            self.tables = state.tables
        }
        self.snapshots = []
    }

    var isSplit: Bool { self.otherMaster != nil }

    func isOnOtherMaster(_ node: Int) -> Bool { self.otherMaster?.nodes.contains(node) ?? false }

    /// From here on there are two masters.
    mutating func splitMasters(other nodes: Set<Int>) { self.otherMaster = (self.tables, nodes) }

    /// One master is left, and what was written to the other one only is gone.
    mutating func uniteMasters(keepingOther: Bool) {
        if keepingOther, let otherMaster { self.tables = otherMaster.tables }
        self.otherMaster = nil
        self.snapshots = []
    }

    private mutating func takeSnapshot(at now: Int64) {
        guard self.losesData, now - (self.snapshots.last?.time ?? 0) >= 100 else { return }
        self.snapshots.removeAll { $0.time < now - 2000 }
        self.snapshots.append((now, self.tables))
    }

    /// - Returns: the job, and when it is to be done.
    mutating func submit(
        _ job: StoreJob, at now: Int64, within delay: ClosedRange<Int64>,
        _ chance: inout SeededGenerator
    ) -> (
        job: Int, time: Int64
    ) {
        var time = now + chance.number(delay)
        if job.request.isWrite {
            time = max(time, self.writesOrderedThrough[job.loop] ?? 0)
            self.writesOrderedThrough[job.loop] = time
        }
        self.jobCount += 1
        self.jobs[self.jobCount] = job
        return (self.jobCount, time)
    }

    /// Does a job; the answer leaves at that time.
    mutating func run(
        _ number: Int, at now: Int64, within delay: ClosedRange<Int64>,
        _ chance: inout SeededGenerator
    ) -> (job: StoreJob, answer: StoreAnswer, time: Int64) {
        self.takeSnapshot(at: now)
        guard let job = self.jobs.removeValue(forKey: number) else {
            preconditionFailure("job \(number) was done before")
        }
        var time = now + chance.number(delay)
        if job.request.isWrite {
            time = max(time, self.answersOrderedThrough[job.loop] ?? 0)
            self.answersOrderedThrough[job.loop] = time
        }
        let isFailing =
            switch self.failure {
            case .none: false
            case .writes: job.request.isWrite
            case .everything: true
            }
        if isFailing {
            let effect: StoreFailure.Effect = chance.pick([.none, .rejected, .unknown, .unknown])!
            return (job, .failed(StoreFailure("the disk is full", effect: effect)), time)
        }
        return (job, self.execute(job), time)
    }

    /// Does what a job asks for, whether or not anybody hears of it.
    mutating func execute(_ job: StoreJob) -> StoreAnswer {
        self.isOnOtherMaster(job.node)
            ? self.otherMaster!.tables.execute(job.request) : self.tables.execute(job.request)
    }

    /// What is stored, as a check reads it.
    func page(of conversation: ConversationKey) -> MessagePage {
        var tables = self.tables
        guard case .page(let page) = tables.execute(.page(conversation, .after(0), limit: .max))
        else {
            preconditionFailure("a page was no page")
        }
        return page
    }

    func loaded(_ conversation: ConversationKey) -> LoadedConversation? {
        var tables = self.tables
        guard case .loaded(let loaded) = tables.execute(.load(conversation)) else {
            preconditionFailure("a load was no load")
        }
        return loaded
    }

    /// Somebody else becomes the owner of a shard.
    mutating func claim(_ shard: Int, under view: Int) {
        _ = self.tables.execute(
            .claim(shard: shard, owner: LoopID(incarnation: 999, loop: 0), view: view))
    }
}

extension StoreRequest {
    var isWrite: Bool {
        switch self {
        case .write, .claim: true
        default: false
        }
    }
}
