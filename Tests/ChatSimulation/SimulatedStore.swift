import ChatModel
import Cluster
import EmbeddedStore
import RepeatableChance

/// A store in memory that takes its time, and sometimes has none.
///
/// Writes are done in the order in which a loop submitted them; reads are done when they like. What a request finds is
/// decided when it is done, which is neither when it was asked nor when it is answered.
struct SimulatedStore {
    enum Failure { case none, writes, everything }

    struct Job {
        let loop: Int
        let node: Int
        let request: StoreRequest
        let ticket: StoreTicket
        /// What it carries to other nodes if all of it is stored.
        var news: [Envelope] = []
    }

    private var tables: MemoryTables
    /// While there are two masters: what the other one has, and the nodes that write to it.
    private var other: (tables: MemoryTables, nodes: Set<Int>)?
    /// What was there at some times of the last second, oldest first.
    private var earlier: [(time: Int64, tables: MemoryTables)] = []
    /// Whether such times are kept.
    let isForgetful: Bool
    private var jobs: [Int: Job] = [:]
    private var jobCount = 0
    private var writesThrough: [Int: Int64] = [:]
    private var answersThrough: [Int: Int64] = [:]
    var failure = Failure.none

    init(history: Int, isForgetful: Bool) {
        self.tables = MemoryTables(history: history)
        self.isForgetful = isForgetful
    }

    /// A failover: what was stored within so many milliseconds is gone, claims too.
    mutating func forget(_ milliseconds: Int64, at now: Int64) {
        if let state = self.earlier.last(where: { $0.time <= now - milliseconds }) ?? self.earlier.first { self.tables = state.tables }
        self.earlier = []
    }

    var isSplit: Bool { self.other != nil }

    func isOnOther(_ node: Int) -> Bool { self.other?.nodes.contains(node) ?? false }

    /// From here on there are two masters.
    mutating func split(other nodes: Set<Int>) { self.other = (self.tables, nodes) }

    /// One master is left, and what was written to the other one only is gone.
    mutating func unite(keepingOther: Bool) {
        if keepingOther, let other { self.tables = other.tables }
        self.other = nil
        self.earlier = []
    }

    private mutating func remember(at now: Int64) {
        guard self.isForgetful, now - (self.earlier.last?.time ?? 0) >= 100 else { return }
        self.earlier.removeAll { $0.time < now - 2000 }
        self.earlier.append((now, self.tables))
    }

    /// - Returns: the job, and when it is to be done.
    mutating func submit(_ job: Job, at now: Int64, within delay: ClosedRange<Int64>, _ chance: inout SeededGenerator) -> (
        job: Int, time: Int64
    ) {
        var time = now + chance.number(delay)
        if job.request.isWrite {
            time = max(time, self.writesThrough[job.loop] ?? 0)
            self.writesThrough[job.loop] = time
        }
        self.jobCount += 1
        self.jobs[self.jobCount] = job
        return (self.jobCount, time)
    }

    /// Does a job; the answer leaves at that time.
    mutating func work(
        _ number: Int, at now: Int64, within delay: ClosedRange<Int64>, _ chance: inout SeededGenerator
    ) -> (job: Job, answer: StoreAnswer, time: Int64) {
        self.remember(at: now)
        guard let job = self.jobs.removeValue(forKey: number) else { preconditionFailure("job \(number) was done before") }
        var time = now + chance.number(delay)
        if job.request.isWrite {
            time = max(time, self.answersThrough[job.loop] ?? 0)
            self.answersThrough[job.loop] = time
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
    mutating func execute(_ job: Job) -> StoreAnswer {
        self.isOnOther(job.node) ? self.other!.tables.execute(job.request) : self.tables.execute(job.request)
    }

    /// What is stored, as a check reads it.
    func page(of conversation: ConversationKey) -> Page {
        var tables = self.tables
        guard case .page(let page) = tables.execute(.page(conversation, .after(0), limit: .max)) else {
            preconditionFailure("a page was no page")
        }
        return page
    }

    func loaded(_ conversation: ConversationKey) -> LoadedConversation? {
        var tables = self.tables
        guard case .loaded(let loaded) = tables.execute(.load(conversation)) else { preconditionFailure("a load was no load") }
        return loaded
    }

    /// Somebody else becomes the owner of a shard.
    mutating func claim(_ shard: Int, under view: Int) {
        _ = self.tables.execute(.claim(shard: shard, owner: OwnerID(incarnation: 999, loop: 0), view: view))
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
