import Bytes
public import ChatCore
import ChatModel
import Cluster
import RepeatableChance

/// A whole cluster with its store, its network and its users in one thread, under a clock of its own.
///
/// Everything that happens is drawn from the seed: the same seed is the same story, whenever it is told.
public final class Simulation {
    enum Action {
        case tick(Int)
        case turn(Int)
        case arrive(Envelope)
        case work(Int)
        /// A write that was answered with a failure is done all the same.
        case workUnheard(SimulatedStore.Job)
        case storeAnswer(Int, StoreAnswer, StoreTicket)
        case act(Int)
        case cut(Int, Int)
        case restore(Int, Int)
        case fail(SimulatedStore.Failure)
        case claim
        case shift
        case die
        case freeze
        case rejoin(Int)
        case become(Int, OwnerID, View)
        case jump
        case forget
        case handOver
        case split
        case unite
        case back(Int)
        case bury(UInt64)
        case learn(Int, View)
        case calm
        case look
        case gather
        case goodbye
        case judge
        case depart
        case inspect
    }

    /// How a simulation ended.
    public struct Outcome {
        public let seed: UInt64
        /// What went wrong, if anything did.
        public let violation: String?
        public let story: [String]
        public let messages: Int
        public let answers: Int
        /// What owners did about what their store had forgotten.
        public let restored: RestoredChanges
    }

    let seed: UInt64
    var chance: SeededGenerator
    let circumstances: Circumstances
    var agenda = Agenda<Action>()
    var now: Int64 = 1_000_000
    let start: Int64 = 1_000_000
    var story: Story
    var historian: Historian
    var store: SimulatedStore
    /// The newest view; loops learn of it one after the other.
    var view: View
    /// Nobody ever gets the same again.
    var newestIncarnation: UInt64 = 10
    var loops: [SimulatedLoop] = []
    var loopNumbers: [OwnerID: Int] = [:]
    var clients: [SimulatedClient] = []
    let conversations: [ConversationKey]
    /// Pairs of nodes between which nothing passes.
    var cutPairs: Set<[Int]> = []
    var arrivals: [[Int]: Int64] = [:]
    /// By how many milliseconds the clocks of nodes are wrong.
    var clockErrors: [Int: Int64] = [:]
    var isCalm = false
    var isOver = false
    var answers = 0

    public init(seed: UInt64, isTold: Bool) {
        self.seed = seed
        self.chance = SeededGenerator(seed: seed)
        self.circumstances = Circumstances(from: &self.chance)
        self.story = Story(isTold: isTold)
        self.historian = Historian(limits: self.circumstances.limits)
        self.store = SimulatedStore(history: self.circumstances.limits.history, isForgetful: self.circumstances.forgets > 0)
        let nodes = self.circumstances.nodes.enumerated().map { View.Node(incarnation: 11 + UInt64($0.offset), loops: $0.element) }
        self.view = View(number: 1, nodes: nodes)
        self.conversations = (0..<self.circumstances.conversations).map { ConversationKey(tenant: "default", id: ByteString("talk-\($0)")) }
        self.newestIncarnation += UInt64(nodes.count)
        for node in nodes { self.start(node) }
        self.makeClients()
        self.plan()
    }

    /// The time as a loop knows it: its node's clock may go wrong.
    func moment(of number: Int) -> Moment {
        let error = self.clockErrors[self.loops[number].node] ?? 0
        return Moment(monotonic: self.now, wall: Timestamp(milliseconds: 1_700_000_000_000 + self.now + error))
    }

    /// Plays one seed; when something goes wrong it is played again, told line by line.
    public static func play(_ seed: UInt64) -> Outcome {
        let outcome = Simulation(seed: seed, isTold: false).run()
        return outcome.violation == nil ? outcome : Simulation(seed: seed, isTold: true).run()
    }

    public func run() -> Outcome {
        while !self.isOver, self.historian.violation == nil, let (time, action) = self.agenda.next() {
            self.now = time
            self.perform(action)
        }
        if let violation = self.historian.violation { self.tell("WRONG: \(violation)") }
        return Outcome(
            seed: self.seed, violation: self.historian.violation, story: self.story.lines, messages: self.historian.messageCount,
            answers: self.answers,
            restored: self.loops.reduce(into: RestoredChanges()) { $0 += $1.chat.restored })
    }

    func tell(_ line: @autoclosure () -> String) {
        self.story.tell(self.now - self.start, line)
    }

    // MARK: The beginning

    private func makeClients() {
        for number in 0..<self.circumstances.clients {
            let user = number < self.circumstances.users ? number : self.chance.number(0...(self.circumstances.users - 1))
            let name = "user\(user)"
            // Two devices of one user call it by two names now and then.
            let shown = self.chance.happens(perMille: 100) ? "\(name)'s phone" : name
            self.clients.append(
                SimulatedClient(
                    number: number, person: Person(id: UserID(token: ByteString(name)), name: ByteString(shown)),
                    conversation: self.chance.pick(self.conversations)!, isListed: self.chance.happens(perMille: 850)))
        }
    }

    private func plan() {
        for number in self.clients.indices { self.agenda.add(.act(number), at: self.now + self.chance.number(0...2000)) }
        let end = self.start + self.circumstances.calmFrom
        for _ in 0..<self.circumstances.cuts where self.circumstances.nodes.count > 1 {
            let from = self.chance.number(0...(self.circumstances.nodes.count - 1))
            let to = (from + self.chance.number(1...(self.circumstances.nodes.count - 1))) % self.circumstances.nodes.count
            let time = self.chance.number(self.start...end)
            self.agenda.add(.cut(from, to), at: time)
            self.agenda.add(.restore(from, to), at: min(end, time + self.chance.number(100...9000)))
        }
        for _ in 0..<self.circumstances.storeFailures {
            let time = self.chance.number(self.start...end)
            self.agenda.add(.fail(self.chance.happens(perMille: 500) ? .writes : .everything), at: time)
            self.agenda.add(.fail(.none), at: min(end, time + self.chance.number(50...8000)))
        }
        for _ in 0..<self.circumstances.claims { self.agenda.add(.claim, at: self.chance.number(self.start...end)) }
        for _ in 0..<self.circumstances.shifts { self.agenda.add(.shift, at: self.chance.number(self.start...end)) }
        // Whoever dies is buried before it is calm.
        for _ in 0..<self.circumstances.deaths { self.agenda.add(.die, at: self.chance.number(self.start...(end - 3000))) }
        // So long at most that its absence has been noticed, and noticed to be over, when it is calm.
        for _ in 0..<self.circumstances.freezes { self.agenda.add(.freeze, at: self.chance.number(self.start...(end - 3000))) }
        for _ in 0..<self.circumstances.jumps { self.agenda.add(.jump, at: self.chance.number(self.start...end)) }
        for _ in 0..<self.circumstances.forgets { self.agenda.add(.forget, at: self.chance.number(self.start...(end - 1000))) }
        for _ in 0..<self.circumstances.splits {
            let time = self.chance.number(self.start...(end - 6000))
            let duration = Int64(self.chance.number(300...4500))
            self.agenda.add(.split, at: time)
            self.agenda.add(.unite, at: time + duration)
            // Who owns what changes meanwhile: the last owner and the next believe for a moment that they are it, each with a master.
            for _ in 0..<self.chance.number(1...4) { self.agenda.add(.handOver, at: time + self.chance.number(0...duration)) }
        }
        self.agenda.add(.calm, at: end)
        // A request is asked again for five seconds; a lost last word shows with the next tick.
        self.agenda.add(.look, at: end + 6999)
        self.agenda.add(.gather, at: end + 7000)
        self.agenda.add(.goodbye, at: end + 15_000)
        self.agenda.add(.judge, at: end + 24_000)
        self.agenda.add(.depart, at: end + 24_001)
        self.agenda.add(.inspect, at: end + 35_000)
    }

    // MARK: What happens

    private func perform(_ action: Action) {
        // What is for a frozen node waits for it.
        if let number = self.loop(of: action), self.now < self.loops[number].frozenUntil {
            self.agenda.putOff(action, from: self.now, to: self.loops[number].frozenUntil)
            return
        }
        if let number = self.loop(of: action), self.loops[number].hasSlept {
            self.loops[number].hasSlept = false
            if !self.loops[number].isDead { self.loops[number].chat.hasSlept(at: self.moment(of: number)) }
        }
        switch action {
        case .tick(let number):
            guard !self.loops[number].isDead else { return }
            self.loops[number].chat.tick(at: self.moment(of: number))
            self.wantTurn(number)
            self.agenda.add(.tick(number), at: self.now + 100)
        case .turn(let number):
            self.turn(number)
        case .arrive(let envelope):
            self.arrive(envelope)
        case .work(let job):
            self.work(job)
        case .workUnheard(let job):
            self.note(self.store.execute(job), to: job, isHeard: false)
        case .storeAnswer(let number, let answer, let ticket):
            guard !self.loops[number].isDead else { return }
            self.loops[number].chat.storeAnswered(answer, ticket: ticket, at: self.moment(of: number))
            self.wantTurn(number)
        case .act(let number):
            self.act(self.clients[number])
        case .cut(let from, let to):
            self.tell("--- nothing passes from node \(from) to node \(to)")
            self.cutPairs.insert([from, to])
        case .restore(let from, let to):
            self.tell("--- node \(to) hears node \(from) again")
            self.cutPairs.remove([from, to])
            // A node knows of some of its losses, and of others not.
            guard self.chance.happens(perMille: 500) else { return }
            for number in self.loops.indices where self.loops[number].node == to && !self.loops[number].isDead {
                self.loops[number].chat.mailWasLost(at: self.moment(of: number))
                self.wantTurn(number)
            }
        case .fail(let failure):
            self.tell(failure == .none ? "--- the store works again" : "--- the store fails: \(failure)")
            self.store.failure = failure
        case .claim:
            self.claimByStranger()
        case .shift:
            self.shift()
        case .die:
            self.killSomebody()
        case .bury(let incarnation):
            self.bury(incarnation)
        case .freeze:
            self.freezeSomebody()
        case .rejoin(let node):
            self.rejoin(node)
        case .become(let number, let id, let view):
            self.become(number, id, view)
        case .jump:
            self.jump()
        case .forget:
            self.forget()
        case .handOver:
            self.handOver()
        case .split:
            self.split()
        case .unite:
            self.unite()
        case .back(let number):
            guard !self.loops[number].isDead else { return }
            self.loops[number].chat.storeMayHaveForgotten(at: self.moment(of: number))
            self.wantTurn(number)
        case .learn(let number, let view):
            self.learn(number, view)
        case .calm:
            self.tell("--- calm")
            self.isCalm = true
            self.cutPairs = []
            self.store.failure = .none
        case .look:
            self.look()
        case .gather:
            // Some stay away, and are to be seen as away.
            for client in self.clients where client.state == .away && self.chance.happens(perMille: 600) {
                client.isExpected = true
                self.connect(client)
            }
            for client in self.clients where client.state != .away { client.isExpected = true }
        case .goodbye:
            for client in self.clients where client.isIn { self.sayGoodbye(client) }
        case .judge:
            self.judge()
        case .depart:
            for client in self.clients { self.disconnect(client) }
        case .inspect:
            self.inspect()
            self.isOver = true
        }
    }

    /// The loop that something happens on.
    private func loop(of action: Action) -> Int? {
        switch action {
        case .tick(let number), .turn(let number), .storeAnswer(let number, _, _), .learn(let number, _), .become(let number, _, _),
            .back(let number):
            number
        case .arrive(let envelope): self.loopNumbers[envelope.to]
        case .rejoin(let node): self.loops.firstIndex { $0.node == node }
        case .act(let number): self.clients[number].state == .away ? nil : self.clients[number].loop
        default: nil
        }
    }

    func wantTurn(_ number: Int) {
        guard !self.loops[number].isTurnDue else { return }
        self.loops[number].isTurnDue = true
        self.agenda.add(.turn(number), at: self.now + self.chance.number(self.circumstances.turn))
    }

    /// The end of a loop's turn, as the gateway has it.
    private func turn(_ number: Int) {
        self.loops[number].isTurnDue = false
        guard !self.loops[number].isDead else { return }
        self.loops[number].chat.carriesNews = self.circumstances.carriesNews
        repeat {
            while self.loops[number].chat.hasWork {
                self.loops[number].chat.settle(at: self.moment(of: number))
                self.sendMail(of: number)
                let news = self.loops[number].chat.takeNews()
                for (request, ticket) in self.loops[number].chat.takeRequests() { self.submit(request, ticket, news, of: number) }
            }
            self.sendMail(of: number)
            for delivery in self.loops[number].chat.takeDeliveries() { self.deliver(delivery, on: number) }
        } while self.historian.violation == nil && (self.loops[number].chat.hasWork || self.loops[number].chat.hasDeliveries)
    }

    private func sendMail(of number: Int) {
        for envelope in self.loops[number].chat.takeEnvelopes() {
            // No parcel takes mail of two senders.
            self.historian.expect(envelope.from == self.loops[number].id, "\(self.loops[number].id) sends mail of \(envelope.from)")
            self.send(envelope)
        }
    }

    private func submit(_ request: StoreRequest, _ ticket: StoreTicket, _ news: [Envelope], of loop: Int) {
        let carried = if case .write = request { news } else { [Envelope]() }
        let (job, time) = self.store.submit(
            .init(loop: loop, node: self.loops[loop].node, request: request, ticket: ticket, news: carried), at: self.now,
            within: self.circumstances.storeDelay, &self.chance)
        self.agenda.add(.work(job), at: time)
    }

    private func work(_ number: Int) {
        let (job, answer, time) = self.store.work(number, at: self.now, within: self.circumstances.storeDelay, &self.chance)
        self.note(answer, to: job)
        self.agenda.add(.storeAnswer(job.loop, answer, job.ticket), at: time)
        // Of a server that does not answer any more nobody knows what it has done, or does yet.
        guard case .failed(let failure) = answer, failure.effect == .unknown, case .write = job.request, self.chance.happens(perMille: 500)
        else { return }
        self.agenda.add(.workUnheard(job), at: self.now + (self.chance.happens(perMille: 500) ? 0 : self.chance.number(0...600)))
    }

    /// - Parameter isHeard: whether the owner hears the answer.
    private func note(_ answer: StoreAnswer, to job: SimulatedStore.Job, isHeard: Bool = true) {
        guard case .write(let batch) = job.request else { return }
        self.tell("store: \(batch.owner) writes \(batch.writes.map(\.told).joined(separator: ", ")): \(answer.told)")
        guard case .written(let outcome) = answer else { return }
        for (place, write) in batch.writes.enumerated() where outcome.isStored(place) {
            self.historian.stored(write, by: batch.owner, onOther: self.store.isOnOther(job.node), isHeard: isHeard)
        }
        if outcome == .stored { for envelope in job.news { self.send(envelope) } }
    }

    /// Redis loses a moment: every connection breaks, and each loop finds out when it does.
    private func forget() {
        guard !self.store.isSplit else { return }
        let time = Int64(self.chance.number(0...1000))
        self.tell("--- the store forgets the last \(time) ms")
        self.store.forget(time, at: self.now)
        for conversation in self.conversations { self.historian.forgot(conversation, down: self.store.loaded(conversation)) }
        self.noticeAnotherStore()
    }

    func noticeAnotherStore() {
        for number in self.loops.indices where !self.loops[number].isDead {
            self.agenda.add(.back(number), at: self.now + self.chance.number(0...500))
        }
    }

    private func claimByStranger() {
        guard let conversation = self.chance.pick(self.conversations) else { return }
        self.tell("--- a stranger claims the shard of \(conversation)")
        self.store.claim(Shard.of(conversation), under: self.view.number)
        self.historian.fenced(conversation)
    }

    // MARK: The end

    /// Nobody has said anything since it is calm: what was lost before has been noticed all the same.
    private func look() {
        for client in self.clients where client.state == .live {
            self.historian.compareMessages(client, with: self.store.page(of: client.conversation))
        }
    }

    private func judge() {
        self.tell("--- judged")
        for client in self.clients {
            // Who is no member and has no token for it stays outside; who has left is sent away on all its devices.
            let mayBeAway = !client.isExpected || !client.isListed || self.historian.past(of: client.conversation).hasLostCursors
            self.historian.expect(
                client.state == .live || client.state == .away && mayBeAway, "\(client.name) is \(client.state) after all has been calm")
            self.historian.expect(client.hasSaidGoodbye || client.state == .away, "\(client.name) has had no answer to its last word")
            guard client.state == .live else { continue }
            let present = Set(self.clients.filter { $0.isIn && $0.conversation == client.conversation }.map(\.person.id))
            self.historian.compare(client, with: self.store.page(of: client.conversation), present: present)
        }
        let dead = Set(self.loops.filter(\.isDead).map(\.id))
        for conversation in self.conversations {
            self.historian.compareAnswers(in: conversation, with: self.store.page(of: conversation), dead: dead)
        }
        for loop in self.loops where !loop.isDead {
            let owed = loop.questions.values.filter { !$0.isCancelled }.map { "\(self.clients[$0.client].name): \($0.kind)" }
            self.historian.expect(owed.isEmpty, "loop \(loop.id) owes answers after all has been calm: \(owed.sorted())")
            self.historian.expect(loop.chat.counts.waiting == 0, "loop \(loop.id) still waits for \(loop.chat.counts.waiting) answers")
        }
    }

    /// When everybody has gone nothing is kept.
    private func inspect() {
        for loop in self.loops where !loop.isDead {
            self.historian.expect(loop.chat.counts.heard == 0, "loop \(loop.id) keeps \(loop.chat.counts.heard) feeds of nobody")
            self.historian.expect(loop.chat.counts.waiting == 0, "loop \(loop.id) waits for answers of nobody")
            if self.circumstances.limits.idle <= .seconds(5) {
                self.historian.expect(
                    loop.chat.counts.owned == 0, "loop \(loop.id) keeps \(loop.chat.counts.owned) conversations of nobody")
            }
        }
    }
}

extension WriteOutcome {
    func isStored(_ place: Int) -> Bool {
        switch self {
        case .stored: true
        case .refused(let refusals): refusals[place] == nil
        }
    }
}

extension StoreAnswer {
    var told: String {
        switch self {
        case .written(.stored): "stored"
        case .written(.refused(let refusals)): "refused \(refusals.sorted { $0.key < $1.key })"
        case .failed(let failure): "\(failure) (\(failure.effect))"
        default: "done"
        }
    }
}
