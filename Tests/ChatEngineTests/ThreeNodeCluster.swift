import Bytes
import ChatCore
import ChatModel
import ChatSimulation
import EmbeddedStore

@testable import ChatEngine
@testable import Cluster

/// Three loops on three nodes, the links between them, and a store. Nothing happens, and no time
/// passes, unless a test says so.
///
/// The loop `far` owns the conversation; mostly alice subscribes on `near` and bob on `third`.
final class ThreeNodeCluster {
    /// The treatment of envelopes from one loop to another.
    enum LinkBehavior {
        case open, losing, doubling, holding
        /// The receiver does not know the commands that change members.
        case toEarlierVersion
    }

    /// The treatment of store requests. `late` executes them but keeps their answers back.
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
    var chats: [LoopID: ChatLoop] = [:]
    private var heldEnvelopes: [Envelope] = []
    private var heldRequests: [SubmittedRequest] = []
    private var lateRequests: [SubmittedRequest] = []
    /// Called while a loop's deliveries are being processed.
    var onDelivery: ((String) -> Void)?
    /// Called with each delivered message.
    var onPosted: ((Message) -> Void)?
    /// Users that requested to join, and users that have joined.
    private var joiningUsers: [RequestContextID: UserID] = [:]
    private var subscribedUsers: [LoopID: Set<UserID>] = [:]
    var deliveries: [LoopID: [String]] = [:]
    var sentItems: [LoopPair: [String]] = [:]
    var storeRequests: [LoopID: [String]] = [:]

    init(limits: Limits = .withoutRates) {
        self.key = Self.keys(1)[0]
        self.tables = MemoryTables(history: limits.historyLimit)
        for loop in Self.loops {
            self.chats[loop] = ChatLoop(id: loop, view: Self.view, limits: limits)
        }
    }

    /// The first conversations of `far` that satisfy a condition.
    static func keys(_ count: Int, where condition: (ConversationKey) -> Bool = { _ in true })
        -> [ConversationKey]
    {
        var keys: [ConversationKey] = []
        for number in 0... {
            let key = ConversationKey.numbered(number)
            if Self.view.owner(of: key) == .far, condition(key) { keys.append(key) }
            if keys.count == count { break }
        }
        return keys
    }

    var clock: ClockReading { .sample(self.now) }

    // MARK: Sessions

    func subscribe(
        _ person: Person, on loop: LoopID, context: RequestContextID = 1, isListed: Bool = true
    )
        -> TestSubscriber
    {
        let joinRequest = JoinRequest(
            principal: Principal(person: person, isAdmin: person.id == Person.alice.id),
            isListedInToken: isListed,
            template: .closed)
        self.joiningUsers[context] = person.id
        let ids = self.chats[loop]!.subscribe(
            to: self.key, with: joinRequest, context: context, at: self.clock)
        return TestSubscriber(person: person, loop: loop, feed: ids.feed, request: ids.request)
    }

    /// Subscribes alice on `near` and bob on `third`, and runs until all events are delivered.
    func subscribeAliceAndBob() -> (alice: TestSubscriber, bob: TestSubscriber) {
        let subscribers = (
            self.subscribe(.alice, on: .near, context: 1),
            self.subscribe(.bob, on: .third, context: 2)
        )
        self.advance(by: 3000)
        self.clearRecords()
        return subscribers
    }

    func submit(
        _ command: ChatCommand, by subscriber: TestSubscriber, context: RequestContextID? = nil,
        requestedAgo: Int64 = 0
    ) {
        self.chats[subscriber.loop]!.submit(
            command, in: self.key, through: subscriber.feed, context: context,
            requestedAt: self.now - requestedAgo, at: self.clock)
    }

    /// Submits a command from a loop that need not subscribe.
    func submit(
        _ command: ChatCommand, in key: ConversationKey? = nil, from loop: LoopID,
        context: RequestContextID? = nil
    ) {
        self.chats[loop]!.submit(command, in: key ?? self.key, context: context, at: self.clock)
    }

    /// Sends a message, and runs until it is delivered.
    ///
    /// - Parameter requestedAgo: how many milliseconds ago the client sent the request.
    func say(
        _ text: String, by subscriber: TestSubscriber, id: String? = nil,
        context: RequestContextID? = nil,
        requestedAgo: Int64 = 0
    ) {
        self.submit(
            .post(.said(text, by: subscriber.person, id: id)), by: subscriber, context: context,
            requestedAgo: requestedAgo)
        self.runUntilIdle()
    }

    func unsubscribe(_ subscriber: TestSubscriber) {
        self.chats[subscriber.loop]!.unsubscribe(from: subscriber.feed, user: subscriber.person.id)
        self.runUntilIdle()
    }

    func cancelSubscribe(_ subscriber: TestSubscriber) {
        self.chats[subscriber.loop]!.cancelSubscribe(subscriber.request)
        self.runUntilIdle()
    }

    func read(_ range: PageRange = .newest, on loop: LoopID = .near, context: RequestContextID) {
        self.chats[loop]!.readPage(self.key, range, limit: 100, context: context)
        self.runUntilIdle()
    }

    func recordDelivery(_ range: ClosedRange<SequenceNumber>, to subscriber: TestSubscriber) {
        self.chats[subscriber.loop]!.recordDelivery(
            in: subscriber.feed, to: subscriber.person.id, of: range)
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
                    let envelopes = self.chats[loop]!.takeEnvelopesWithWrite()
                    for (request, ticket) in self.chats[loop]!.takeRequests() {
                        self.submit(
                            SubmittedRequest(
                                loop: loop, request: request, ticket: ticket,
                                envelopesWithWrite: request.isWrite ? envelopes : []))
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
            // Users do not receive their own changes, so the change of the only user of a loop is
            // not delivered.
            let others = changes.filter { self.subscribedUsers[loop] != [$0.person.id] }
            if others.isEmpty { return }
            delivery = .event(feed, .presence(others), answering: context)
        }
        if case .answer(let context, .joined, _, _) = delivery,
            let person = self.joiningUsers[context]
        {
            self.subscribedUsers[loop, default: []].insert(person)
        }
        if case .event(_, .posted(let message), _) = delivery { self.onPosted?(message) }
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

    func set(_ behavior: LinkBehavior, from: LoopID, to: LoopID) {
        self.links[LoopPair(from: from, to: to)] = behavior
    }

    /// Sets the behavior of a link in both directions.
    func set(_ behavior: LinkBehavior, between left: LoopID, and right: LoopID) {
        self.set(behavior, from: left, to: right)
        self.set(behavior, from: right, to: left)
    }

    private func send(_ envelope: Envelope) {
        let pair = LoopPair(from: envelope.from, to: envelope.to)
        self.sentItems[pair, default: []] += envelope.items.map(\.summary)
        switch self.links[pair] ?? .open {
        case .open: self.receive(envelope)
        case .losing: break
        case .holding: self.heldEnvelopes.append(envelope)
        case .doubling:
            self.receive(envelope)
            self.receive(envelope)
        case .toEarlierVersion:
            // As a reader of packets skips items of unknown kinds.
            var known = envelope
            known.items.removeAll(where: \.changesMembers)
            if known.items.isEmpty, !envelope.items.isEmpty { known.items = [.notOwner(0)] }
            self.receive(known)
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

    private func submit(_ request: SubmittedRequest) {
        self.storeRequests[request.loop, default: []].append(request.request.summary)
        var request = request
        switch self.storeBehaviors[request.loop] ?? .working {
        case .working: self.finish(request)
        case .failing: self.fail(request)
        case .failingReads:
            if request.request.isWrite { self.finish(request) } else { self.fail(request) }
        case .failingWrites:
            if request.request.isWrite { self.fail(request) } else { self.finish(request) }
        case .holding: self.heldRequests.append(request)
        case .late:
            request.answer = self.execute(request)
            self.heldRequests.append(request)
        }
    }

    private func execute(_ request: SubmittedRequest) -> StoreAnswer {
        let answer = self.tables.execute(request.request)
        if case .written(.stored) = answer {
            for envelope in request.envelopesWithWrite { self.send(envelope) }
        }
        return answer
    }

    private func finish(_ request: SubmittedRequest) {
        self.chats[request.loop]!.storeAnswered(
            request.answer ?? self.execute(request), ticket: request.ticket, at: self.clock)
    }

    private func fail(_ request: SubmittedRequest) {
        let failure = StoreFailure(
            "the disk is full", effect: request.answer == nil ? self.writeFailureEffect : .unknown)
        self.chats[request.loop]!.storeAnswered(
            .failed(failure), ticket: request.ticket, at: self.clock)
    }

    /// Executes and answers the held requests. While the behavior is `holding`, the requests that
    /// follow are held again.
    func answerHeldRequests() {
        let requests = self.heldRequests
        self.heldRequests = []
        for request in requests { self.finish(request) }
        self.runUntilIdle()
    }

    /// Executes and answers only the oldest held request.
    func answerOldestHeldRequest() {
        self.finish(self.heldRequests.removeFirst())
        self.runUntilIdle()
    }

    /// Executes and answers only the newest held request.
    func answerNewestHeldRequest() {
        self.finish(self.heldRequests.removeLast())
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
        let request = self.heldRequests.removeFirst()
        _ = self.execute(request)
        self.chats[request.loop]!.storeAnswered(
            .written(.refused([0: .unconfirmed])), ticket: request.ticket, at: self.clock)
        self.runUntilIdle()
    }

    func executeLateRequests() {
        for request in self.lateRequests { _ = self.execute(request) }
        self.lateRequests = []
    }
}
