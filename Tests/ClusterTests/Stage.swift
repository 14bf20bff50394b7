import Bytes
import ChatCore
import ChatModel
import ChatSimulation
import EmbeddedStore

@testable import Cluster

/// Three loops of three nodes, the roads between them and the store: nothing moves and no time passes unless a test says so.
///
/// Each conversation of the stage's belongs to the loop `far`; mostly alice sits on `near` and bob on `third`.
final class Stage {
    /// What becomes of envelopes from one loop to another.
    enum Road { case open, losing, doubling, holding }

    /// What becomes of requests to the store. Late: they are done, and the answers are kept back.
    enum StoreMood { case working, failing, failingReads, failingWrites, holding, late }

    struct Way: Hashable {
        let from: OwnerID
        let to: OwnerID
    }

    /// A connection of somebody's.
    struct Seat {
        let person: Person
        let loop: OwnerID
        let feed: FeedID
        let request: RequestID
    }

    private struct Errand {
        let loop: OwnerID
        let request: StoreRequest
        let ticket: StoreTicket
        /// What the store carries to other nodes if all of it is stored.
        var news: [Envelope] = []
        var answer: StoreAnswer?
    }

    static let loops: [OwnerID] = [.near, .far, .third]
    static let view = View(number: 1, nodes: Stage.loops.map { View.Node(incarnation: $0.incarnation, loops: 1) })

    let key: ConversationKey
    private(set) var now: Int64 = 10_000
    var tables: MemoryTables
    var roads: [Way: Road] = [:]
    var moods: [OwnerID: StoreMood] = [:]
    /// What the store says of writes that fail.
    var effect = StoreFailure.Effect.none
    /// Whether the store lets other nodes hear of what it stores in the same step.
    var carriesNews = false
    private var chats: [OwnerID: ChatLoop] = [:]
    private var heldEnvelopes: [Envelope] = []
    private var errands: [Errand] = []
    private var unheard: [Errand] = []
    /// Called while a loop's deliveries are being looked at.
    var whenShown: ((String) -> Void)?
    /// Who has asked to come in, and who was let in.
    private var doors: [UInt64: UserID] = [:]
    private var people: [OwnerID: Set<UserID>] = [:]
    private var shown: [OwnerID: [String]] = [:]
    private var letters: [Way: [String]] = [:]
    private var asked: [OwnerID: [String]] = [:]

    init(limits: ChatLimits = .init()) {
        self.key = Self.keys(1)[0]
        self.tables = MemoryTables(history: limits.history)
        for loop in Self.loops { self.chats[loop] = ChatLoop(id: loop, view: Self.view, limits: limits) }
    }

    /// The first conversations of `far` for which this is true.
    static func keys(_ count: Int, where isWanted: (ConversationKey) -> Bool = { _ in true }) -> [ConversationKey] {
        var keys: [ConversationKey] = []
        for number in 0... {
            let key = ConversationKey.numbered(number)
            if Self.view.owner(of: key) == .far, isWanted(key) { keys.append(key) }
            if keys.count == count { break }
        }
        return keys
    }

    var moment: Moment { .sample(self.now) }

    // MARK: What sessions do

    func enter(_ person: Person, on loop: OwnerID, context: UInt64 = 1, isListed: Bool = true) -> Seat {
        let entrance = Entrance(actor: Actor(person: person, isAdmin: false), isListed: isListed, kind: .conversations)
        self.doors[context] = person.id
        let names = self.chats[loop]!.enter(self.key, entrance, context: context, at: self.moment)
        return Seat(person: person, loop: loop, feed: names.feed, request: names.request)
    }

    /// Lets alice in on `near` and bob on `third`, and waits until nothing is left to be told.
    func gather() -> (alice: Seat, bob: Seat) {
        let seats = (self.enter(.alice, on: .near, context: 1), self.enter(.bob, on: .third, context: 2))
        self.pass(3000)
        self.forget()
        return seats
    }

    func ask(_ command: ChatCommand, by seat: Seat, context: UInt64? = nil, askedAgo: Int64 = 0) {
        self.chats[seat.loop]!.ask(
            command, in: self.key, through: seat.feed, context: context, askedAt: self.now - askedAgo, at: self.moment)
    }

    /// Asks from a loop that need not listen.
    func ask(_ command: ChatCommand, in key: ConversationKey? = nil, from loop: OwnerID, context: UInt64? = nil) {
        self.chats[loop]!.ask(command, in: key ?? self.key, context: context, at: self.moment)
    }

    /// Says something, and waits until everybody has heard it who can.
    ///
    /// - Parameter askedAgo: so many milliseconds ago the client has asked for it.
    func say(_ words: String, by seat: Seat, id: String? = nil, context: UInt64? = nil, askedAgo: Int64 = 0) {
        self.ask(.post(.said(words, by: seat.person, id: id)), by: seat, context: context, askedAgo: askedAgo)
        self.settle()
    }

    func leave(_ seat: Seat) {
        self.chats[seat.loop]!.leave(seat.feed, seat.person.id)
        self.settle()
    }

    func cancelEntrance(_ seat: Seat) {
        self.chats[seat.loop]!.cancelEntrance(seat.request)
        self.settle()
    }

    func read(_ range: PageRange = .newest, on loop: OwnerID = .near, context: UInt64) {
        self.chats[loop]!.read(self.key, range, limit: 100, context: context)
        self.settle()
    }

    func delivered(_ range: ClosedRange<SequenceNumber>, to seat: Seat) {
        self.chats[seat.loop]!.delivered(seat.feed, to: seat.person.id, range)
        self.settle()
    }

    // MARK: What moves

    /// Until nothing is left to be done at this moment.
    func settle() {
        var isBusy = true
        var rounds = 0
        while isBusy {
            isBusy = false
            rounds += 1
            precondition(rounds < 10_000, "the loops find no rest")
            for loop in Self.loops {
                self.chats[loop]!.carriesNews = self.carriesNews
                while self.chats[loop]!.hasWork {
                    isBusy = true
                    self.chats[loop]!.settle(at: self.moment)
                    if self.carriesNews { for envelope in self.chats[loop]!.takeEnvelopes() { self.carry(envelope) } }
                    let news = self.chats[loop]!.takeNews()
                    for (request, ticket) in self.chats[loop]!.takeRequests() {
                        self.submit(Errand(loop: loop, request: request, ticket: ticket, news: request.isWrite ? news : []))
                    }
                }
                for envelope in self.chats[loop]!.takeEnvelopes() {
                    isBusy = true
                    self.carry(envelope)
                }
                for delivery in self.chats[loop]!.takeDeliveries() {
                    isBusy = true
                    self.show(delivery, on: loop)
                }
            }
        }
    }

    private func show(_ delivery: Delivery, on loop: OwnerID) {
        var delivery = delivery
        if case .event(let feed, .presence(let changes), let context) = delivery {
            // Nobody is told of itself: of whoever sits alone on its loop nobody is told.
            let others = changes.filter { self.people[loop] != [$0.person.id] }
            if others.isEmpty { return }
            delivery = .event(feed, .presence(others), answering: context)
        }
        if case .answer(let context, .entered, _) = delivery, let person = self.doors[context] {
            self.people[loop, default: []].insert(person)
        }
        self.shown[loop, default: []].append(delivery.told)
        self.whenShown?(delivery.told)
    }

    /// Time passes in steps of 100 ms, and every loop ticks at each.
    func pass(_ milliseconds: Int64) {
        self.settle()
        for _ in 0..<milliseconds / 100 {
            self.now += 100
            for loop in Self.loops { self.chats[loop]!.tick(at: self.moment) }
            self.settle()
        }
    }

    /// A loop wakes up after it has stood still.
    func wake(_ loop: OwnerID) {
        self.chats[loop]!.hasSlept(at: self.moment)
        self.settle()
    }

    /// A loop learns of another view.
    func learn(_ view: View, on loop: OwnerID) {
        self.chats[loop]!.follow(view, at: self.moment)
        self.settle()
    }

    /// All of them do, one after the other.
    func learn(_ view: View) {
        for loop in Self.loops { self.learn(view, on: loop) }
    }

    func set(_ road: Road, from: OwnerID, to: OwnerID) {
        self.roads[Way(from: from, to: to)] = road
    }

    /// No way between two loops, in either direction; or all is well again.
    func set(_ road: Road, between left: OwnerID, and right: OwnerID) {
        self.set(road, from: left, to: right)
        self.set(road, from: right, to: left)
    }

    private func carry(_ envelope: Envelope) {
        let way = Way(from: envelope.from, to: envelope.to)
        self.letters[way, default: []] += envelope.items.map(\.told)
        switch self.roads[way] ?? .open {
        case .open: self.receive(envelope)
        case .losing: break
        case .holding: self.heldEnvelopes.append(envelope)
        case .doubling:
            self.receive(envelope)
            self.receive(envelope)
        }
    }

    func receive(_ envelope: Envelope) {
        self.chats[envelope.to]!.receive(envelope, at: self.moment)
    }

    /// The envelopes that were held arrive, in order.
    func carryHeld() {
        let envelopes = self.heldEnvelopes
        self.heldEnvelopes = []
        for envelope in envelopes { self.receive(envelope) }
        self.settle()
    }

    // MARK: The store

    private func submit(_ errand: Errand) {
        self.asked[errand.loop, default: []].append(errand.request.told)
        var errand = errand
        switch self.moods[errand.loop] ?? .working {
        case .working: self.finish(errand)
        case .failing: self.fail(errand)
        case .failingReads: if errand.request.isWrite { self.finish(errand) } else { self.fail(errand) }
        case .failingWrites: if errand.request.isWrite { self.fail(errand) } else { self.finish(errand) }
        case .holding: self.errands.append(errand)
        case .late:
            errand.answer = self.execute(errand)
            self.errands.append(errand)
        }
    }

    private func execute(_ errand: Errand) -> StoreAnswer {
        let answer = self.tables.execute(errand.request)
        if case .written(.stored) = answer { for envelope in errand.news { self.carry(envelope) } }
        return answer
    }

    private func finish(_ errand: Errand) {
        self.chats[errand.loop]!.storeAnswered(errand.answer ?? self.execute(errand), ticket: errand.ticket, at: self.moment)
    }

    private func fail(_ errand: Errand) {
        let failure = StoreFailure("the disk is full", effect: errand.answer == nil ? self.effect : .unknown)
        self.chats[errand.loop]!.storeAnswered(.failed(failure), ticket: errand.ticket, at: self.moment)
    }

    /// The store does and answers what it has held; as long as it holds, what follows from that is held again.
    func answerHeld() {
        let errands = self.errands
        self.errands = []
        for errand in errands { self.finish(errand) }
        self.settle()
    }

    /// The same, of the oldest request that it has held alone.
    func answerOldestHeld() {
        self.finish(self.errands.removeFirst())
        self.settle()
    }

    var hasHeld: Bool { !self.errands.isEmpty }

    /// The store says of the oldest request that it has held that it failed.
    func failHeld() {
        self.fail(self.errands.removeFirst())
        self.settle()
    }

    /// As `failHeld`, of a request that is done all the same, when `doUnheard` is called.
    func failHeldUnheard() {
        self.unheard.append(self.errands[0])
        let effect = self.effect
        self.effect = .unknown
        defer { self.effect = effect }
        self.failHeld()
    }

    /// The oldest request that was held is done; but of a write it is said that it may not outlive a failover.
    func leaveHeldUnconfirmed() {
        let errand = self.errands.removeFirst()
        _ = self.execute(errand)
        self.chats[errand.loop]!.storeAnswered(.written(.refused([0: .unconfirmed])), ticket: errand.ticket, at: self.moment)
        self.settle()
    }

    func doUnheard() {
        for errand in self.unheard { _ = self.execute(errand) }
        self.unheard = []
    }

    // MARK: What is to be seen

    /// Every loop's connection to the store is another than before.
    func reconnectStore() {
        for loop in Self.loops { self.chats[loop]!.storeMayHaveForgotten(at: self.moment) }
        self.settle()
    }

    func restored(by loop: OwnerID) -> RestoredChanges { self.chats[loop]!.restored }

    func newestView(of loop: OwnerID) -> Int { self.chats[loop]!.newestView }

    func counts(of loop: OwnerID) -> (owned: Int, heard: Int, waiting: Int) { self.chats[loop]!.counts }

    func holdings(of loop: OwnerID) -> [ChatLoop.Holding] { self.chats[loop]!.holdings }

    func shownThrough(_ seat: Seat) -> SequenceNumber { self.chats[seat.loop]!.shownThrough(seat.feed) }

    /// What the listeners of a loop were shown since the last look.
    func take(on loop: OwnerID) -> [String] {
        defer { self.shown[loop] = [] }
        return self.shown[loop] ?? []
    }

    /// What one loop has written to another since the last look.
    func takeLetters(from: OwnerID, to: OwnerID) -> [String] {
        defer { self.letters[Way(from: from, to: to)] = [] }
        return self.letters[Way(from: from, to: to)] ?? []
    }

    /// What a loop has asked of the store since the last look.
    func takeAsked(by loop: OwnerID) -> [String] {
        defer { self.asked[loop] = [] }
        return self.asked[loop] ?? []
    }

    func forget() {
        (self.shown, self.letters, self.asked) = ([:], [:], [:])
    }
}
