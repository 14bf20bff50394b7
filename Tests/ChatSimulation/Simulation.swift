import Bytes
public import ChatCore
import ChatEngine
import ChatModel
import Cluster
import SeededRandom

/// A whole cluster with its store, network and users in one thread, with a simulated clock.
///
/// All random decisions depend on the seed, so a seed always produces the same run.
public final class Simulation {
    /// Indirect, because the queue copies actions.
    indirect enum Action {
        case tick(Int)
        case turn(Int)
        case arrive(Envelope)
        case runJob(Int)
        /// A write that was answered with a failure is executed later all the same.
        case runJobLate(SimulatedStore.StoreJob)
        case storeAnswer(Int, StoreAnswer, StoreTicket)
        case clientActs(Int)
        case cutLink(Int, Int)
        case restoreLink(Int, Int)
        case failStore(SimulatedStore.FailureMode)
        case claimByAnotherOwner
        case changeView
        case killNode
        case freezeNode
        case nodeTick(Int)
        /// With the number of the node's connection.
        case membershipRequest(Int, ClusterMembershipRequest, Int)
        case membershipReply(Int, ClusterMembershipReply, Int)
        case viewAnnounced(Int)
        case nodeReconnected(Int)
        case rejoin(Int, LoopID, View)
        case jumpClock
        case loseStoreData
        case handOverShards
        case splitMasters
        case uniteMasters
        case storeReconnected(Int)
        case follow(Int, View)
        /// The faults end.
        case restoreAll
        case calm
        case checkQuietly
        case reconnectClients
        case sendFinalMessages
        case checkAll
        case disconnectClients
        case checkNothingRetained
    }

    /// The result of a simulation.
    public struct SimulationResult {
        public let seed: UInt64
        /// The first violated promise, if any.
        public let violation: String?
        public let log: [String]
        public let messages: Int
        public let answers: Int
        /// The repairs of owners after the store had lost data.
        public let recoveryCounts: RecoveryCounts
    }

    let seed: UInt64
    var random: SeededGenerator
    let parameters: SimulationParameters
    var queue = EventQueue<Action>()
    var now: Int64 = 1_000_000
    let start: Int64 = 1_000_000
    var eventLog: SimulationLog
    var checker: SimulationChecker
    var store: SimulatedStore
    var nodes: [SimulatedMember] = []
    /// Incarnations are never reused.
    var newestIncarnation: UInt64 = 10
    var loops: [SimulatedLoop] = []
    var loopNumbers: [LoopID: Int] = [:]
    var clients: [SimulatedClient] = []
    let conversations: [ConversationKey]
    /// Pairs of nodes whose link is cut.
    var cutNodePairs: Set<[Int]> = []
    var arrivals: [[Int]: Int64] = [:]
    /// The errors of the nodes' clocks, in milliseconds.
    var clockErrors: [Int: Int64] = [:]
    var isCalm = false
    var isOver = false
    var answerCount = 0

    public init(seed: UInt64, isLogged isTold: Bool) {
        self.seed = seed
        self.random = SeededGenerator(seed: seed)
        self.parameters = SimulationParameters(from: &self.random)
        self.eventLog = SimulationLog(isEnabled: isTold)
        self.checker = SimulationChecker(limits: self.parameters.limits)
        let nodes = self.parameters.nodes.enumerated().map {
            View.Node(incarnation: 11 + UInt64($0.offset), loops: $0.element)
        }
        let view = View(number: 1, nodes: nodes)
        self.store = SimulatedStore(
            history: self.parameters.limits.historyLimit,
            registry: SimulatedRegistry(view),
            isForgetful: self.parameters.dataLosses > 0)
        self.conversations = (0..<self.parameters.conversations).map {
            ConversationKey(tenant: "default", id: ByteString("talk-\($0)"))
        }
        self.newestIncarnation += UInt64(nodes.count)
        for node in nodes { self.start(node, following: view) }
        self.makeClients()
        self.scheduleEvents()
    }

    /// When envelopes are no longer lost. Between the last fault and this time dead nodes are
    /// evicted, others join again, and shards move.
    var calm: Int64 { self.start + self.parameters.calmAfter + 8000 }

    /// The time on a loop's node, whose clock may be wrong.
    func clock(of number: Int) -> ClockReading {
        let error = self.clockErrors[self.loops[number].node] ?? 0
        return ClockReading(
            monotonic: self.now, wall: Timestamp(milliseconds: 1_700_000_000_000 + self.now + error)
        )
    }

    /// Runs a simulation. If it violates a promise, it runs again with a log.
    public static func play(_ seed: UInt64) -> SimulationResult {
        let result = Simulation(seed: seed, isLogged: false).run()
        return result.violation == nil ? result : Simulation(seed: seed, isLogged: true).run()
    }

    public func run() -> SimulationResult {
        while !self.isOver, self.checker.violation == nil, let (time, action) = self.queue.next() {
            self.now = time
            self.perform(action)
        }
        if let violation = self.checker.violation { self.log("VIOLATION: \(violation)") }
        return SimulationResult(
            seed: self.seed, violation: self.checker.violation, log: self.eventLog.lines,
            messages: self.checker.messageCount,
            answers: self.answerCount,
            recoveryCounts: self.loops.reduce(into: RecoveryCounts()) {
                $0 += $1.chat.recoveryCounts
            })
    }

    func log(_ line: @autoclosure () -> String) {
        self.eventLog.append(self.now - self.start, line)
    }

    // MARK: Setup

    func makeClients() {
        for number in 0..<self.parameters.clients {
            let user =
                number < self.parameters.users
                ? number : self.random.number(0...(self.parameters.users - 1))
            let name = "user\(user)"
            // Two devices of a user sometimes have different names for it.
            let displayName = self.random.happens(perMille: 100) ? "\(name)'s phone" : name
            self.clients.append(
                SimulatedClient(
                    number: number,
                    person: Person(
                        id: UserID(tokenSubject: ByteString(name)), name: ByteString(displayName)),
                    conversation: self.random.pick(self.conversations)!,
                    isListed: self.random.happens(perMille: 850)))
        }
    }

    func scheduleEvents() {
        for number in self.clients.indices {
            self.queue.add(.clientActs(number), at: self.now + self.random.number(0...2000))
        }
        let end = self.start + self.parameters.calmAfter
        for _ in 0..<self.parameters.linkCuts where self.parameters.nodes.count > 1 {
            let from = self.random.number(0...(self.parameters.nodes.count - 1))
            let to =
                (from + self.random.number(1...(self.parameters.nodes.count - 1)))
                % self.parameters.nodes.count
            let time = self.random.number(self.start...end)
            self.queue.add(.cutLink(from, to), at: time)
            self.queue.add(
                .restoreLink(from, to), at: min(end, time + self.random.number(100...9000)))
        }
        for _ in 0..<self.parameters.storeFailures {
            let time = self.random.number(self.start...end)
            self.queue.add(
                .failStore(self.random.happens(perMille: 500) ? .writes : .everything), at: time)
            self.queue.add(.failStore(.none), at: min(end, time + self.random.number(50...8000)))
        }
        for _ in 0..<self.parameters.claims {
            self.queue.add(.claimByAnotherOwner, at: self.random.number(self.start...end))
        }
        for _ in 0..<self.parameters.viewChanges {
            self.queue.add(.changeView, at: self.random.number(self.start...end))
        }
        for _ in 0..<self.parameters.nodeDeaths {
            self.queue.add(.killNode, at: self.random.number(self.start...(end - 3000)))
        }
        for _ in 0..<self.parameters.nodeFreezes {
            self.queue.add(.freezeNode, at: self.random.number(self.start...(end - 3000)))
        }
        for _ in 0..<self.parameters.clockJumps {
            self.queue.add(.jumpClock, at: self.random.number(self.start...end))
        }
        for _ in 0..<self.parameters.dataLosses {
            self.queue.add(.loseStoreData, at: self.random.number(self.start...(end - 1000)))
        }
        for _ in 0..<self.parameters.splits {
            let time = self.random.number(self.start...(end - 6000))
            let duration = Int64(self.random.number(300...4500))
            self.queue.add(.splitMasters, at: time)
            self.queue.add(.uniteMasters, at: time + duration)
            // Ownership moves meanwhile, so that two owners briefly coexist, each with its own
            // master.
            for _ in 0..<self.random.number(1...4) {
                self.queue.add(.handOverShards, at: time + self.random.number(0...duration))
            }
        }
        self.queue.add(.restoreAll, at: end)
        let calm = self.calm
        self.queue.add(.calm, at: calm)
        // A request is retried for five seconds, and the next tick reveals a lost last envelope.
        self.queue.add(.checkQuietly, at: calm + 6999)
        self.queue.add(.reconnectClients, at: calm + 7000)
        self.queue.add(.sendFinalMessages, at: calm + 15_000)
        self.queue.add(.checkAll, at: calm + 24_000)
        self.queue.add(.disconnectClients, at: calm + 24_001)
        // While the store is in doubt, an owner offers what it retains of a conversation that it
        // drops.
        self.queue.add(.checkNothingRetained, at: calm + 70_000)
    }

    // MARK: Turns and the store

    /// The end of a loop's turn, as in the gateway.
    func turn(_ number: Int) {
        self.loops[number].isTurnDue = false
        guard !self.loops[number].isDead else { return }
        self.loops[number].chat.publishesWithWrite = self.parameters.publishesWithWrite
        repeat {
            while self.loops[number].chat.hasWork {
                self.loops[number].chat.finishTurn(at: self.clock(of: number))
                self.sendEnvelopes(of: number)
                let envelopes = self.loops[number].chat.takeEnvelopesWithWrite()
                for (request, ticket) in self.loops[number].chat.takeRequests() {
                    self.submit(request, ticket, envelopes, of: number)
                }
            }
            self.sendEnvelopes(of: number)
            for delivery in self.loops[number].chat.takeDeliveries() {
                self.deliver(delivery, on: number)
            }
        } while self.checker.violation == nil
            && (self.loops[number].chat.hasWork || self.loops[number].chat.hasDeliveries)
        self.reportView(of: number)
    }

    func sendEnvelopes(of number: Int) {
        for envelope in self.loops[number].chat.takeEnvelopes() {
            // A packet has only one sender.
            self.checker.expect(
                envelope.from == self.loops[number].id,
                "\(self.loops[number].id) sends an envelope of \(envelope.from)")
            self.send(envelope)
        }
    }

    func submit(
        _ request: StoreRequest, _ ticket: StoreTicket, _ envelopes: [Envelope], of loop: Int
    ) {
        let published = if case .write = request { envelopes } else { [Envelope]() }
        let (job, time) = self.store.submit(
            .init(
                loop: loop, node: self.loops[loop].node, request: request, ticket: ticket,
                envelopesWithWrite: published), at: self.now,
            within: self.parameters.storeDelay, &self.random)
        self.queue.add(.runJob(job), at: time)
    }

    func runJob(_ number: Int) {
        let (job, answer, time) = self.store.run(
            number, at: self.now, within: self.parameters.storeDelay, &self.random)
        self.record(answer, to: job)
        self.queue.add(.storeAnswer(job.loop, answer, job.ticket), at: time)
        // If the outcome is unknown, the write may have been executed or may be executed later.
        guard case .failed(let failure) = answer, failure.effect == .unknown,
            case .write = job.request, self.random.happens(perMille: 500)
        else { return }
        self.queue.add(
            .runJobLate(job),
            at: self.now + (self.random.happens(perMille: 500) ? 0 : self.random.number(0...600)))
    }

    /// - Parameter isAcknowledged: whether the owner receives the answer.
    func record(
        _ answer: StoreAnswer, to job: SimulatedStore.StoreJob, isAcknowledged: Bool = true
    ) {
        guard case .write(let batch) = job.request else { return }
        self.log(
            "store: \(batch.owner) writes \(batch.writes.map(\.summary).joined(separator: ", ")): "
                + answer.summary
        )
        guard case .written(let outcome) = answer else { return }
        for (number, write) in batch.writes.enumerated() where outcome.isStored(number) {
            self.checker.stored(
                write, by: batch.owner, onOther: self.store.isOnOtherMaster(job.node),
                isAcknowledged: isAcknowledged)
        }
        if outcome == .stored { for envelope in job.envelopesWithWrite { self.send(envelope) } }
    }

    /// A Redis failover that loses recent writes: every connection breaks, and loops notice it at
    /// different times.
    func loseStoreData() {
        guard !self.store.isSplit else { return }
        let time = Int64(self.random.number(0...1000))
        self.log("--- the store loses the last \(time) ms")
        self.store.loseData(time, at: self.now)
        // Including the users' inboxes.
        for conversation in self.checker.histories.keys {
            self.checker.lostData(conversation, downTo: self.store.loaded(conversation))
        }
        self.reconnectToStore()
    }

    func reconnectToStore() {
        for number in self.loops.indices where !self.loops[number].isDead {
            self.queue.add(.storeReconnected(number), at: self.now + self.random.number(0...500))
        }
        for number in self.nodes.indices where !self.nodes[number].isDead {
            self.queue.add(.nodeReconnected(number), at: self.now + self.random.number(0...500))
        }
    }

    func claimByAnotherOwner() {
        guard let conversation = self.random.pick(self.conversations) else { return }
        self.log("--- another owner claims the shard of \(conversation)")
        self.store.claim(Shard.of(conversation))
        self.checker.ownerReplaced(conversation)
    }
}

extension StoreAnswer {
    var summary: String {
        switch self {
        case .written(.stored): "stored"
        case .written(.refused(let refusals)): "refused \(refusals.sorted { $0.key < $1.key })"
        case .failed(let failure): "\(failure) (\(failure.effect))"
        default: "done"
        }
    }
}
