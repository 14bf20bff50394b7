import Bytes
import ChatCore
import ChatModel
import ChatSimulation
import EmbeddedStore

@testable import Cluster

/// Three loops on three nodes, the links between them, and a store. Nothing happens, and no time
/// passes, unless a test says so.
///
/// The loop `far` owns the conversation; mostly alice subscribes on `near` and bob on `third`.
final class ThreeNodeCluster {
    /// What happens to envelopes from one loop to another.
    enum LinkBehavior { case open, losing, doubling, holding }

    /// What happens to requests to the store. `late` executes them but keeps their answers back.
    enum StoreBehavior { case working, failing, failingReads, failingWrites, holding, late }

    struct LoopPair: Hashable {
        let from: LoopID
        let to: LoopID
    }

    /// A connection of a user.
    struct TestSubscriber {
        let person: Person
        let loop: LoopID
        let feed: FeedID
        let request: RequestID
    }

    private struct SubmittedRequest {
        let loop: LoopID
        let request: StoreRequest
        let ticket: StoreTicket
        /// Envelopes that the store publishes if all of it is stored.
        var envelopesWithWrite: [Envelope] = []
        var answer: StoreAnswer?
    }

    static let loops: [LoopID] = [.near, .far, .third]
    static let view = View(
        number: 1,
        nodes: ThreeNodeCluster.loops.map { View.Node(incarnation: $0.incarnation, loops: 1) })

    let key: ConversationKey
    private(set) var now: Int64 = 10_000
    var tables: MemoryTables
    var links: [LoopPair: LinkBehavior] = [:]
    var storeBehaviors: [LoopID: StoreBehavior] = [:]
    /// The effect of failed writes.
    var writeFailureEffect = StoreFailure.Effect.none
    /// Whether the store publishes to other nodes in the step that stores a write.
    var publishesWithWrite = false
    private var chats: [LoopID: ChatLoop] = [:]
    private var heldEnvelopes: [Envelope] = []
    private var heldRequests: [SubmittedRequest] = []
    private var lateRequests: [SubmittedRequest] = []
    /// Called while a loop's deliveries are being processed.
    var onDelivery: ((String) -> Void)?
    /// Users that requested to join, and users that have joined.
    private var joiningUsers: [UInt64: UserID] = [:]
    private var subscribedUsers: [LoopID: Set<UserID>] = [:]
    private var deliveries: [LoopID: [String]] = [:]
    private var sentItems: [LoopPair: [String]] = [:]
    private var storeRequests: [LoopID: [String]] = [:]

    init(limits: ChatLimits = .init()) {
        self.key = Self.keys(1)[0]
        self.tables = MemoryTables(history: limits.historyLimit)
        for loop in Self.loops {
            self.chats[loop] = ChatLoop(id: loop, view: Self.view, limits: limits)
        }
    }

    /// The first conversations of `far` that satisfy a condition.
    static func keys(_ count: Int, where isWanted: (ConversationKey) -> Bool = { _ in true })
        -> [ConversationKey]
    {
        var keys: [ConversationKey] = []
        for number in 0... {
            let key = ConversationKey.numbered(number)
            if Self.view.owner(of: key) == .far, isWanted(key) { keys.append(key) }
            if keys.count == count { break }
        }
        return keys
    }

    var clock: ClockReading { .sample(self.now) }

    // MARK: Sessions

    func subscribe(_ person: Person, on loop: LoopID, context: UInt64 = 1, isListed: Bool = true)
        -> TestSubscriber
    {
        let entrance = JoinRequest(
            principal: Principal(person: person, isAdmin: false), isListedInToken: isListed,
            kind: .conversations)
        self.joiningUsers[context] = person.id
        let names = self.chats[loop]!.subscribe(
            to: self.key, with: entrance, context: context, at: self.clock)
        return TestSubscriber(person: person, loop: loop, feed: names.feed, request: names.request)
    }

    /// Subscribes alice on `near` and bob on `third`, and runs until all events are delivered.
    func subscribeAliceAndBob() -> (alice: TestSubscriber, bob: TestSubscriber) {
        let seats = (
            self.subscribe(.alice, on: .near, context: 1),
            self.subscribe(.bob, on: .third, context: 2)
        )
        self.advance(by: 3000)
        self.clearRecords()
        return seats
    }

    func submit(
        _ command: ChatCommand, by seat: TestSubscriber, context: UInt64? = nil,
        requestedAgo askedAgo: Int64 = 0
    ) {
        self.chats[seat.loop]!.submit(
            command, in: self.key, through: seat.feed, context: context,
            requestedAt: self.now - askedAgo, at: self.clock)
    }

    /// Submits a command from a loop that need not subscribe.
    func submit(
        _ command: ChatCommand, in key: ConversationKey? = nil, from loop: LoopID,
        context: UInt64? = nil
    ) {
        self.chats[loop]!.submit(command, in: key ?? self.key, context: context, at: self.clock)
    }

    /// Sends a message, and runs until it is delivered.
    ///
    /// - Parameter askedAgo: how many milliseconds ago the client sent the request.
    func say(
        _ words: String, by seat: TestSubscriber, id: String? = nil, context: UInt64? = nil,
        requestedAgo askedAgo: Int64 = 0
    ) {
        self.submit(
            .post(.said(words, by: seat.person, id: id)), by: seat, context: context,
            requestedAgo: askedAgo)
        self.runUntilIdle()
    }

    func unsubscribe(_ seat: TestSubscriber) {
        self.chats[seat.loop]!.unsubscribe(from: seat.feed, user: seat.person.id)
        self.runUntilIdle()
    }

    func cancelSubscribe(_ seat: TestSubscriber) {
        self.chats[seat.loop]!.cancelSubscribe(seat.request)
        self.runUntilIdle()
    }

    func read(_ range: PageRange = .newest, on loop: LoopID = .near, context: UInt64) {
        self.chats[loop]!.readPage(self.key, range, limit: 100, context: context)
        self.runUntilIdle()
    }

    func recordDelivery(_ range: ClosedRange<SequenceNumber>, to seat: TestSubscriber) {
        self.chats[seat.loop]!.recordDelivery(in: seat.feed, to: seat.person.id, of: range)
        self.runUntilIdle()
    }

    // MARK: Execution

    /// Runs until there is no work left at the current time.
    func runUntilIdle() {
        var isBusy = true
        var rounds = 0
        while isBusy {
            isBusy = false
            rounds += 1
            precondition(rounds < 10_000, "the loops find no rest")
            for loop in Self.loops {
                self.chats[loop]!.publishesWithWrite = self.publishesWithWrite
                while self.chats[loop]!.hasWork {
                    isBusy = true
                    self.chats[loop]!.finishTurn(at: self.clock)
                    if self.publishesWithWrite {
                        for envelope in self.chats[loop]!.takeEnvelopes() { self.send(envelope) }
                    }
                    let news = self.chats[loop]!.takeEnvelopesWithWrite()
                    for (request, ticket) in self.chats[loop]!.takeRequests() {
                        self.submit(
                            SubmittedRequest(
                                loop: loop, request: request, ticket: ticket,
                                envelopesWithWrite: request.isWrite ? news : []))
                    }
                }
                for envelope in self.chats[loop]!.takeEnvelopes() {
                    isBusy = true
                    self.send(envelope)
                }
                for delivery in self.chats[loop]!.takeDeliveries() {
                    isBusy = true
                    self.deliver(delivery, on: loop)
                }
            }
        }
    }

    private func deliver(_ delivery: Delivery, on loop: LoopID) {
        var delivery = delivery
        if case .event(let feed, .presence(let changes), let context) = delivery {
            // Users are not told about themselves, so the change of the only user of a loop is
            // delivered to nobody.
            let others = changes.filter { self.subscribedUsers[loop] != [$0.person.id] }
            if others.isEmpty { return }
            delivery = .event(feed, .presence(others), answering: context)
        }
        if case .answer(let context, .joined, _) = delivery, let person = self.joiningUsers[context]
        {
            self.subscribedUsers[loop, default: []].insert(person)
        }
        self.deliveries[loop, default: []].append(delivery.summary)
        self.onDelivery?(delivery.summary)
    }

    /// Advances the clock in steps of 100 ms, with a tick of every loop at each step.
    func advance(by milliseconds: Int64) {
        self.runUntilIdle()
        for _ in 0..<milliseconds / 100 {
            self.now += 100
            for loop in Self.loops { self.chats[loop]!.tick(at: self.clock) }
            self.runUntilIdle()
        }
    }

    /// Resumes a loop after a stall.
    func resumeAfterStall(_ loop: LoopID) {
        self.chats[loop]!.resumedAfterStall(at: self.clock)
        self.runUntilIdle()
    }

    /// A loop follows another view.
    func follow(_ view: View, on loop: LoopID) {
        self.chats[loop]!.follow(view, at: self.clock)
        self.runUntilIdle()
    }

    /// All loops follow another view, one after another.
    func follow(_ view: View) {
        for loop in Self.loops { self.follow(view, on: loop) }
    }

    func set(_ road: LinkBehavior, from: LoopID, to: LoopID) {
        self.links[LoopPair(from: from, to: to)] = road
    }

    /// Sets the behavior of a link in both directions.
    func set(_ road: LinkBehavior, between left: LoopID, and right: LoopID) {
        self.set(road, from: left, to: right)
        self.set(road, from: right, to: left)
    }

    private func send(_ envelope: Envelope) {
        let way = LoopPair(from: envelope.from, to: envelope.to)
        self.sentItems[way, default: []] += envelope.items.map(\.summary)
        switch self.links[way] ?? .open {
        case .open: self.receive(envelope)
        case .losing: break
        case .holding: self.heldEnvelopes.append(envelope)
        case .doubling:
            self.receive(envelope)
            self.receive(envelope)
        }
    }

    func receive(_ envelope: Envelope) {
        self.chats[envelope.to]!.receive(envelope, at: self.clock)
    }

    /// Delivers the held envelopes, in order.
    func releaseEnvelopes() {
        let envelopes = self.heldEnvelopes
        self.heldEnvelopes = []
        for envelope in envelopes { self.receive(envelope) }
        self.runUntilIdle()
    }

    // MARK: Store

    private func submit(_ errand: SubmittedRequest) {
        self.storeRequests[errand.loop, default: []].append(errand.request.summary)
        var errand = errand
        switch self.storeBehaviors[errand.loop] ?? .working {
        case .working: self.finish(errand)
        case .failing: self.fail(errand)
        case .failingReads:
            if errand.request.isWrite { self.finish(errand) } else { self.fail(errand) }
        case .failingWrites:
            if errand.request.isWrite { self.fail(errand) } else { self.finish(errand) }
        case .holding: self.heldRequests.append(errand)
        case .late:
            errand.answer = self.execute(errand)
            self.heldRequests.append(errand)
        }
    }

    private func execute(_ errand: SubmittedRequest) -> StoreAnswer {
        let answer = self.tables.execute(errand.request)
        if case .written(.stored) = answer {
            for envelope in errand.envelopesWithWrite { self.send(envelope) }
        }
        return answer
    }

    private func finish(_ errand: SubmittedRequest) {
        self.chats[errand.loop]!.storeAnswered(
            errand.answer ?? self.execute(errand), ticket: errand.ticket, at: self.clock)
    }

    private func fail(_ errand: SubmittedRequest) {
        let failure = StoreFailure(
            "the disk is full", effect: errand.answer == nil ? self.writeFailureEffect : .unknown)
        self.chats[errand.loop]!.storeAnswered(
            .failed(failure), ticket: errand.ticket, at: self.clock)
    }

    /// Executes and answers the held requests. While the behavior is `holding`, the requests that
    /// follow are held again.
    func answerHeldRequests() {
        let errands = self.heldRequests
        self.heldRequests = []
        for errand in errands { self.finish(errand) }
        self.runUntilIdle()
    }

    /// Executes and answers only the oldest held request.
    func answerOldestHeldRequest() {
        self.finish(self.heldRequests.removeFirst())
        self.runUntilIdle()
    }

    var hasHeldRequests: Bool { !self.heldRequests.isEmpty }

    /// Fails the oldest held request.
    func failOldestHeldRequest() {
        self.fail(self.heldRequests.removeFirst())
        self.runUntilIdle()
    }

    /// Fails the oldest held request, which `executeLateRequests` executes later.
    func failOldestHeldRequestButExecuteLater() {
        self.lateRequests.append(self.heldRequests[0])
        let effect = self.writeFailureEffect
        self.writeFailureEffect = .unknown
        defer { self.writeFailureEffect = effect }
        self.failOldestHeldRequest()
    }

    /// Executes the oldest held request, but reports that a failover may lose it.
    func leaveOldestHeldRequestUnconfirmed() {
        let errand = self.heldRequests.removeFirst()
        _ = self.execute(errand)
        self.chats[errand.loop]!.storeAnswered(
            .written(.refused([0: .unconfirmed])), ticket: errand.ticket, at: self.clock)
        self.runUntilIdle()
    }

    func executeLateRequests() {
        for errand in self.lateRequests { _ = self.execute(errand) }
        self.lateRequests = []
    }

    // MARK: Inspection

    /// Reconnects every loop to the store.
    func reconnectStore() {
        for loop in Self.loops { self.chats[loop]!.storeMayHaveLostData(at: self.clock) }
        self.runUntilIdle()
    }

    func recoveryCounts(of loop: LoopID) -> RecoveryCounts { self.chats[loop]!.recoveryCounts }

    func newestViewNumber(of loop: LoopID) -> Int { self.chats[loop]!.newestViewNumber }

    func counts(of loop: LoopID) -> (owned: Int, heard: Int, waiting: Int) {
        self.chats[loop]!.counts
    }

    func ownedShards(of loop: LoopID) -> [ChatLoop.OwnedShard] { self.chats[loop]!.ownedShards }

    func deliveredThrough(_ seat: TestSubscriber) -> SequenceNumber {
        self.chats[seat.loop]!.deliveredThrough(seat.feed)
    }

    /// The deliveries of a loop since the last call.
    func takeDeliveries(on loop: LoopID) -> [String] {
        defer { self.deliveries[loop] = [] }
        return self.deliveries[loop] ?? []
    }

    /// The items from one loop to another since the last call.
    func takeItems(from: LoopID, to: LoopID) -> [String] {
        defer { self.sentItems[LoopPair(from: from, to: to)] = [] }
        return self.sentItems[LoopPair(from: from, to: to)] ?? []
    }

    /// The store requests of a loop since the last call.
    func takeStoreRequests(by loop: LoopID) -> [String] {
        defer { self.storeRequests[loop] = [] }
        return self.storeRequests[loop] ?? []
    }

    func clearRecords() {
        (self.deliveries, self.sentItems, self.storeRequests) = ([:], [:], [:])
    }
}
