import Bytes
import ChatCore
import ChatModel
import Cluster

/// The conversations that a loop subscribes to, and its pending requests to their owners.
struct ConversationSubscriptions: Sendable {
    private(set) var id: LoopID
    var feeds = FeedTable()
    var requests = OwnerRequests()
    var reads: [StoreTicket: ReadPurpose] = [:]
    var deliveries: [Delivery] = []
    /// The number of the current batch of deliveries.
    private var batchNumber: UInt64 = 1
    /// Answered joins that their connection may not have seen yet.
    private var answeredJoins: [AnsweredJoin] = []
    /// Feeds with unsent delivery reports, or that had some at the last check.
    var feedsWithReports: [FeedID] = []
    /// Feeds that have to catch up with a page before it is delivered.
    var feedsWithWaitingPages: [FeedID] = []
    var pagesCheckedAt: Int64 = 0
    /// Recent deliveries that the store may lose.
    var deliveryLog: DeliveryLog
    /// When the next comparisons with the store are due.
    var dueChecks: [Int64] = []
    private var generatedIDs: UInt64 = 0

    /// Why a page was requested from the store.
    enum ReadPurpose: Sendable {
        case page(Feed.PageRequest)
        case repair(FeedID)
        /// A comparison with these delivered items.
        case check(FeedID, [DeliveryLog.Item])
    }

    private struct AnsweredJoin: Sendable {
        let request: RequestID
        let feed: FeedID
        let user: UserID
        /// It left with the last batch. Once the next batch is taken, its connection has seen it.
        var isInLastBatch = false
    }

    /// A request ends after this time at the latest. The rest of the 5 s that the design promises
    /// is two ticks, for the answer to reach its client.
    static let requestTimeout: Int64 = 4800
    /// Enough for a working store, however long the client has already waited.
    private static let minimumTimeout: Int64 = 100

    static func timeout(since requestedAt: Int64?, at now: ClockReading) -> Int64 {
        guard let requestedAt else { return Self.requestTimeout }
        return max(Self.minimumTimeout, Self.requestTimeout - (now.monotonic - requestedAt))
    }
    /// The time for which an offer of retained changes is useful: as long as they are retained.
    static let offerTimeout: Int64 = 60_000
    static let retryInterval: Int64 = 1000
    static let refusalBackoff: Int64 = 250
    static let repairBackoffLimit: Int64 = 2000
    static let pageTimeout: Int64 = 2000
    static let pageAttempts = 8
    static let repairPageLimit = 200
    static let recheckDelay: Int64 = 5000
    static let undecidedRecheckDelay: Int64 = 1000

    init(id: LoopID, retention: Duration) {
        self.id = id
        self.deliveryLog = DeliveryLog(within: retention)
    }

    /// Tells every owner about the new incarnation.
    mutating func rejoin(as id: LoopID, view: View, at now: ClockReading, output: inout LoopOutput)
    {
        self.id = id
        self.follow(view, reattachesAll: true, at: now, output: &output)
    }

    /// Takes the next deliveries, up to the first message after a join or a page.
    ///
    /// A connection that joins or reads a page immediately asks for `deliveredThrough`. A message
    /// later in the same batch would count as delivered there, and the connection would receive it
    /// twice.
    mutating func takeDeliveries(into deliveries: inout [Delivery]) {
        deliveries.clear()
        if let cut = self.deliveries.firstMessageAfterJoinOrPage {
            deliveries.append(contentsOf: self.deliveries[..<cut])
            self.deliveries.removeFirst(cut)
            self.batchNumber += 1
            for delivery in self.deliveries {
                if case .event(let feed, .posted(let message), _) = delivery {
                    self.recordQueued(message, feed)
                }
            }
        } else {
            self.answeredJoins.removeAll { $0.isInLastBatch }
            for index in self.answeredJoins.indices {
                self.answeredJoins[index].isInLastBatch = true
            }
            swap(&deliveries, &self.deliveries)
            self.batchNumber += 1
        }
    }

    mutating func generateClientID() -> ClientMessageID {
        self.generatedIDs += 1
        return ClientMessageID(
            mintedFrom: StableHash.mix(
                self.id.incarnation ^ StableHash.mix(UInt64(self.id.loop) + 1)),
            count: self.generatedIDs)
    }

    /// The newest message of the feed that has been taken.
    func deliveredThrough(_ feed: FeedID) -> SequenceNumber {
        guard self.feeds.isCurrent(feed) else { return 0 }
        return self.feeds[feed.slot].watermarks.deliveredThrough(before: self.batchNumber)
    }

    private mutating func recordQueued(_ message: Message, _ feed: FeedID) {
        guard self.feeds.isCurrent(feed) else { return }
        self.feeds[feed.slot].watermarks.recordQueued(message.sequence, in: self.batchNumber)
    }

    // MARK: Subscribing and unsubscribing

    /// Cancels a join. If its answer is in the batch that is being processed, the connection is
    /// subscribed, and unsubscribes now.
    mutating func cancelSubscribe(_ request: RequestID, output: inout LoopOutput) {
        self.requests.cancel(request)
        guard let index = self.answeredJoins.firstIndex(where: { $0.request == request }) else {
            return
        }
        let join = self.answeredJoins.remove(at: index)
        self.unsubscribe(from: join.feed, user: join.user, output: &output)
    }

    mutating func subscribe(
        to key: ConversationKey, with joinRequest: JoinRequest, owner: LoopID,
        context: RequestContextID,
        requestedAt: Int64? = nil, at now: ClockReading,
        output: inout LoopOutput
    ) -> (feed: FeedID, request: RequestID) {
        let slot = self.feeds.slot(of: key) ?? self.feeds.open(Feed(key: key, owner: owner))
        let person = joinRequest.principal.person
        self.feeds[slot].connectionCount += 1
        var subscriber = self.feeds[slot].subscribers[person.id] ?? Feed.Subscriber(person: person)
        subscriber.pendingJoins += 1
        self.feeds[slot].subscribers[person.id] = subscriber
        let feed = self.feeds.id(at: slot)
        let request = self.submit(
            .command(.joinAndSubscribe(joinRequest)), in: key, through: feed, owner: owner,
            context: context,
            timeout: Self.timeout(since: requestedAt, at: now), at: now, output: &output)
        return (feed, request)
    }

    mutating func unsubscribe(from feed: FeedID, user: UserID, output: inout LoopOutput) {
        guard self.feeds.isCurrent(feed), let subscriber = self.feeds[feed.slot].subscribers[user],
            subscriber.connections > 0
        else { return }
        self.feeds[feed.slot].subscribers.update(user) { $0.connections -= 1 }
        self.releaseConnection(of: user, feed.slot, output: &output)
    }

    /// Releases one connection or pending join of this user. The last one of a user is its
    /// departure.
    private mutating func releaseConnection(
        of user: UserID, _ slot: UInt32, output: inout LoopOutput
    ) {
        if let subscriber = self.feeds[slot].subscribers[user], subscriber.connections == 0,
            subscriber.pendingJoins == 0
        {
            self.feeds[slot].subscribers[user] = nil
            self.flushReports(of: slot, output: &output)
            self.notifyOwner(.unsubscribe(user), slot, output: &output)
        }
        self.feeds[slot].connectionCount -= 1
        if self.feeds[slot].connectionCount == 0 { self.close(slot, output: &output) }
    }

    private mutating func close(_ slot: UInt32, output: inout LoopOutput) {
        self.notifyOwner(.detach, slot, output: &output)
        // A retried attach request would subscribe this loop again.
        self.removePendingAttach(of: slot)
        let deferred =
            self.feeds[slot].takeDeferredAnswers(for: nil)
            + self.feeds[slot].takeDeferredAmendments()
            + self.feeds[slot].takeOutOfOrder(through: .max).map(\.answering)
        self.requests.removeQueue(of: slot)
        for read in self.feeds[slot].waitingPages {
            self.deliveries.append(.page(context: read.context, read.page!))
        }
        self.feeds.close(slot)
        for request in deferred {
            // A request without an answer has been sent again.
            guard let answer = self.requests[request]?.deferredAnswer,
                let context = self.requests.remove(request)?.context
            else { continue }
            self.deliveries.append(.answer(context: context, answer, isAlsoEvent: false))
        }
    }

    /// Sends an input that needs no answer to the owner.
    func notifyOwner(_ input: ConversationInput, _ slot: UInt32, output: inout LoopOutput) {
        output.send(self.input(input, slot), to: self.feeds[slot].owner)
    }

    func input(_ input: ConversationInput, _ slot: UInt32) -> Envelope.Item {
        .input(
            Envelope.Input(
                conversation: self.feeds[slot].key, input: input,
                ownerSlot: self.feeds[slot].ownerSlot, feedSlot: slot))
    }

    /// Handles the owner's answer to a join.
    mutating func receiveJoinAnswer(
        to request: RequestID, _ pending: OwnerRequests.OwnerRequest, _ joinRequest: JoinRequest,
        _ answer: ChatAnswer, at now: ClockReading, output: inout LoopOutput
    ) {
        guard let feed = pending.feed, self.feeds.isCurrent(feed) else { return }
        let slot = feed.slot
        let person = joinRequest.principal.person
        self.feeds[slot].subscribers.update(person.id) { $0.pendingJoins -= 1 }
        guard case .joined(let joinResult) = answer else {
            if let context = pending.context, !pending.isCancelled {
                self.deliveries.append(.answer(context: context, answer, isAlsoEvent: false))
            }
            // An earlier attempt may have joined, and its answer was lost; leaving covers both
            // cases.
            self.releaseConnection(of: person.id, slot, output: &output)
            return
        }
        self.feeds[slot].subscribers.update(person.id) { subscriber in
            subscriber.connections += 1
            subscriber.person = person
        }
        self.applyJoinResult(slot, with: joinResult, for: person.id, at: now, output: &output)
        if pending.isCancelled {
            self.unsubscribe(from: feed, user: person.id, output: &output)
        } else if let context = pending.context {
            self.deliveries.append(.answer(context: context, answer, isAlsoEvent: false))
            self.answeredJoins.append(AnsweredJoin(request: request, feed: feed, user: person.id))
        }
    }

    private mutating func applyJoinResult(
        _ slot: UInt32, with joinResult: JoinResult, for joiningUser: UserID, at now: ClockReading,
        output: inout LoopOutput
    ) {
        let changes = self.feeds[slot].presenceChanges(
            toReach: joinResult, joiningUser: joiningUser, at: now)
        switch self.feeds[slot].state {
        case .opening(let mustRepair):
            self.feeds[slot].state = .live
            self.feeds[slot].watermarks.open(at: joinResult.revision, head: joinResult.head)
            self.feeds[slot].isEnded = joinResult.isEnded
            if mustRepair { self.repair(slot, at: now, output: &output) }
        case .live, .repairing:
            if !changes.isEmpty { self.deliver(.presence(changes), slot) }
            if self.feeds[slot].state.isLive,
                joinResult.revision > self.feeds[slot].watermarks.revision
            {
                self.repair(slot, at: now, output: &output)
            }
        }
    }

    /// Queues an event for all subscribers of the feed.
    mutating func deliver(
        _ event: ChatEvent, _ slot: UInt32, answering context: RequestContextID? = nil
    ) {
        if case .posted(let message) = event { self.recordQueued(message, self.feeds.id(at: slot)) }
        self.deliveries.append(.event(self.feeds.id(at: slot), event, answering: context))
    }
}
