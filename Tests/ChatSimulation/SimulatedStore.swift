import ChatEngine
import ChatModel
import EmbeddedStore
import SeededRandom

/// An in-memory store with delays and failures.
///
/// Writes of a loop are executed in the order of their submission, reads in any order. The result
/// is determined at the execution, which happens between the request and its answer.
struct SimulatedStore {
    enum FailureMode { case none, writes, everything }

    struct StoreJob {
        let loop: Int
        let node: Int
        let request: StoreRequest
        let ticket: StoreTicket
        /// Envelopes that are published if all of it is stored.
        var envelopesWithWrite: [Envelope] = []
    }

    private struct StoredState {
        var tables: MemoryTables
        var registry: SimulatedRegistry
    }

    private var state: StoredState
    /// The state of the second master, and the nodes that write to it, while there are two.
    private var otherMaster: (state: StoredState, nodes: Set<Int>)?
    /// Snapshots of the last second, oldest first.
    private var snapshots: [(time: Int64, state: StoredState)] = []
    /// Whether snapshots are taken.
    let losesData: Bool
    private var jobs: [Int: StoreJob] = [:]
    private var jobCount = 0
    private var writesOrderedThrough: [Int: Int64] = [:]
    private var answersOrderedThrough: [Int: Int64] = [:]
    var failure = FailureMode.none

    init(history: Int, registry: SimulatedRegistry, isForgetful: Bool) {
        self.state = StoredState(tables: MemoryTables(history: history), registry: registry)
        self.losesData = isForgetful
    }

    /// A failover: the writes and claims of the last milliseconds are lost.
    mutating func loseData(_ milliseconds: Int64, at now: Int64) {
        if let snapshot = self.snapshots.last(where: { $0.time <= now - milliseconds })
            ?? self.snapshots.first
        {
            self.state = snapshot.state
        }
        self.snapshots = []
    }

    var isSplit: Bool { self.otherMaster != nil }

    func isOnOtherMaster(_ node: Int) -> Bool { self.otherMaster?.nodes.contains(node) ?? false }

    /// Splits the store into two masters.
    mutating func splitMasters(other nodes: Set<Int>) { self.otherMaster = (self.state, nodes) }

    /// Ends the split; the writes to the other master are lost.
    mutating func uniteMasters(keepingOther: Bool) {
        if keepingOther, let otherMaster { self.state = otherMaster.state }
        self.otherMaster = nil
        self.snapshots = []
    }

    private mutating func takeSnapshot(at now: Int64) {
        guard self.losesData, now - (self.snapshots.last?.time ?? 0) >= 100 else { return }
        self.snapshots.removeAll { $0.time < now - 2000 }
        self.snapshots.append((now, self.state))
    }

    /// - Returns: the job's number, and when it is executed.
    mutating func submit(
        _ job: StoreJob, at now: Int64, within delay: ClosedRange<Int64>,
        _ random: inout SeededGenerator
    ) -> (
        job: Int, time: Int64
    ) {
        var time = now + random.number(delay)
        if job.request.isWrite {
            time = max(time, self.writesOrderedThrough[job.loop] ?? 0)
            self.writesOrderedThrough[job.loop] = time
        }
        self.jobCount += 1
        self.jobs[self.jobCount] = job
        return (self.jobCount, time)
    }

    /// Executes a job.
    ///
    /// - Returns: its answer, and when the answer leaves.
    mutating func run(
        _ number: Int, at now: Int64, within delay: ClosedRange<Int64>,
        _ random: inout SeededGenerator
    ) -> (job: StoreJob, answer: StoreAnswer, time: Int64) {
        self.takeSnapshot(at: now)
        guard let job = self.jobs.removeValue(forKey: number) else {
            preconditionFailure("job \(number) was executed before")
        }
        var time = now + random.number(delay)
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
            let effect: StoreFailure.Effect = random.pick([.none, .rejected, .unknown, .unknown])!
            return (job, .failed(StoreFailure("the disk is full", effect: effect)), time)
        }
        return (job, self.execute(job), time)
    }

    /// Executes a job, even if its answer is lost.
    mutating func execute(_ job: StoreJob) -> StoreAnswer {
        self.withState(of: job.node) { $0.tables.execute(job.request) }
    }

    /// The membership keys that a node reads and writes.
    mutating func withRegistry<Result>(
        of node: Int, _ body: (inout SimulatedRegistry) -> Result
    ) -> Result {
        self.withState(of: node) { body(&$0.registry) }
    }

    private mutating func withState<Result>(of node: Int, _ body: (inout StoredState) -> Result)
        -> Result
    {
        self.isOnOtherMaster(node) ? body(&self.otherMaster!.state) : body(&self.state)
    }

    /// The stored messages, for checks.
    func page(of conversation: ConversationKey) -> MessagePage {
        var tables = self.state.tables
        guard
            case .page(let page) = tables.execute(
                .page(conversation, .after(0), limit: PageLimit(messages: .max)))
        else {
            preconditionFailure("the answer is not a page")
        }
        return page
    }

    func loaded(_ conversation: ConversationKey) -> LoadedConversation? {
        var tables = self.state.tables
        guard case .loaded(let loaded) = tables.execute(.load(conversation)) else {
            preconditionFailure("the answer is not a conversation")
        }
        return loaded
    }

    /// Another owner claims a shard.
    mutating func claim(_ shard: Int) {
        _ = self.state.tables.execute(
            .claim(
                shard: shard, owner: LoopID(incarnation: 999, loop: 0),
                view: self.state.registry.number))
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
