import Bytes
import ChatCore
import ChatModel

/// The conversations that a loop listens to, and what it has asked of their owners.
struct ConversationSubscriptions: Sendable {
    private(set) var id: LoopID
    var feeds = FeedTable()
    var requests = OwnerRequests()
    var reads: [StoreTicket: ReadPurpose] = [:]
    var deliveries: [Delivery] = []
    /// How often deliveries have been taken.
    private var batchNumber: UInt64 = 1
    /// Entrances whose answers nobody may have seen yet.
    private var answeredJoins: [AnsweredJoin] = []
    /// Feeds with reports of deliveries that have not left, or had some since the last look.
    var feedsWithReports: [FeedID] = []
    /// Feeds with pages that wait for them.
    var feedsWithWaitingPages: [FeedID] = []
    var pagesCheckedAt: Int64 = 0
    /// What may have to be shown otherwise, because the store has forgotten it.
    var deliveryLog: DeliveryLog
    /// When that is looked at again.
    var dueChecks: [Int64] = []
    private var generatedIDs: UInt64 = 0

    /// What a page of the store is for.
    enum ReadPurpose: Sendable {
        case page(Feed.PageRequest)
        case repair(FeedID)
        /// Of what was shown, which is held against it.
        case check(FeedID, [DeliveryLog.Item])
    }

    private struct AnsweredJoin: Sendable {
        let request: RequestID
        let feed: FeedID
        let user: UserID
        /// Taken with the last deliveries: when the next are taken it has been seen.
        var isInLastBatch = false
    }

    /// A request is over after this, whatever became of it: the answer has two ticks to reach its client within 5 s, promise 5 of the design.
    static let requestTimeout: Int64 = 4800
    /// Enough for a store that works, however long the client has waited for something else.
    private static let minimumTimeout: Int64 = 100

    static func timeout(since askedAt: Int64?, at now: ClockReading) -> Int64 {
        guard let askedAt else { return Self.requestTimeout }
        return max(Self.minimumTimeout, Self.requestTimeout - (now.monotonic - askedAt))
    }
    /// An offer of what the store may have forgotten is of use for as long as it is held.
    static let offerTimeout: Int64 = 60_000
    static let retryInterval: Int64 = 1000
    static let refusalBackoff: Int64 = 250
    static let repairBackoffLimit: Int64 = 2000
    static let pageTimeout: Int64 = 2000
    static let pageAttempts = 8
    static let repairPageLimit = 200
    static let recheckDelay: Int64 = 5000
    static let undecidedRecheckDelay: Int64 = 1000

    init(id: LoopID, retention hold: Duration) {
        self.id = id
        self.deliveryLog = DeliveryLog(within: hold)
    }

    /// Another incarnation listens: every owner hears so.
    mutating func rejoin(as id: LoopID, view: View, at now: ClockReading, outbox: inout Outbox) {
        self.id = id
        self.follow(view, reattachesAll: true, at: now, outbox: &outbox)
    }

    /// What there is for listeners, up to the first message behind an entrance or a page.
    ///
    /// Whoever comes in or reads a page asks at once how far the feed has shown, and that must be what has been taken:
    /// with a message further on in the same list it would be shown that message twice.
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
            for place in self.answeredJoins.indices {
                self.answeredJoins[place].isInLastBatch = true
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
    func shownThrough(_ feed: FeedID) -> SequenceNumber {
        guard self.feeds.isCurrent(feed) else { return 0 }
        return self.feeds[feed.slot].queuedInBatch == self.batchNumber
            ? self.feeds[feed.slot].queuedFrom - 1 : self.feeds[feed.slot].deliveredThrough
    }

    private mutating func recordQueued(_ message: Message, _ feed: FeedID) {
        guard self.feeds.isCurrent(feed), self.feeds[feed.slot].queuedInBatch != self.batchNumber
        else { return }
        self.feeds[feed.slot].queuedInBatch = self.batchNumber
        self.feeds[feed.slot].queuedFrom = message.sequence
    }

    // MARK: Coming and going

    /// Whoever asked to come in is gone. The answer may be among the deliveries that are just being looked at: then it
    /// has come in, and leaves.
    mutating func cancelSubscribe(_ request: RequestID, outbox: inout Outbox) {
        self.requests.cancel(request)
        guard let place = self.answeredJoins.firstIndex(where: { $0.request == request }) else {
            return
        }
        let entrance = self.answeredJoins.remove(at: place)
        self.unsubscribe(from: entrance.feed, user: entrance.user, outbox: &outbox)
    }

    mutating func subscribe(
        to key: ConversationKey, with entrance: JoinRequest, owner: LoopID, context: UInt64,
        requestedAt askedAt: Int64? = nil, at now: ClockReading,
        outbox: inout Outbox
    ) -> (feed: FeedID, request: RequestID) {
        let slot = self.feeds.slot(of: key) ?? self.feeds.open(Feed(key: key, owner: owner))
        let person = entrance.principal.person
        self.feeds[slot].connectionCount += 1
        var listener = self.feeds[slot].subscribers[person.id] ?? Feed.Subscriber(person: person)
        listener.pendingJoins += 1
        self.feeds[slot].subscribers[person.id] = listener
        let feed = self.feeds.id(at: slot)
        let request = self.submit(
            .command(.joinAndSubscribe(entrance)), in: key, through: feed, owner: owner,
            context: context,
            timeout: Self.timeout(since: askedAt, at: now), at: now, outbox: &outbox)
        return (feed, request)
    }

    mutating func unsubscribe(from feed: FeedID, user: UserID, outbox: inout Outbox) {
        guard self.feeds.isCurrent(feed), let listener = self.feeds[feed.slot].subscribers[user],
            listener.connections > 0
        else { return }
        self.feeds[feed.slot].subscribers.update(user) { $0.connections -= 1 }
        self.releaseConnection(of: user, feed.slot, outbox: &outbox)
    }

    /// One connection of this user's, or entrance, less: the last of them is the farewell, unless another is at the door.
    private mutating func releaseConnection(of user: UserID, _ slot: UInt32, outbox: inout Outbox) {
        if let listener = self.feeds[slot].subscribers[user], listener.connections == 0,
            listener.pendingJoins == 0
        {
            self.feeds[slot].subscribers[user] = nil
            self.flushReports(of: slot, outbox: &outbox)
            self.notifyOwner(.unsubscribe(user), slot, outbox: &outbox)
        }
        self.feeds[slot].connectionCount -= 1
        if self.feeds[slot].connectionCount == 0 { self.close(slot, outbox: &outbox) }
    }

    private mutating func close(_ slot: UInt32, outbox: inout Outbox) {
        self.notifyOwner(.detach, slot, outbox: &outbox)
        // An attachment that were asked again would bring back listeners that are gone.
        _ = self.requests.remove(self.feeds[slot].pendingAttach)
        let held =
            self.feeds[slot].takeDeferredAnswers(for: nil)
            + self.feeds[slot].takeOutOfOrder(through: .max).map(\.answering)
        self.requests.removeQueue(of: slot)
        for read in self.feeds[slot].waitingPages {
            self.deliveries.append(.page(context: read.context, read.page!))
        }
        self.feeds.close(slot)
        for request in held {
            // One without an answer has been asked again.
            guard let answer = self.requests[request]?.deferredAnswer,
                let context = self.requests.remove(request)?.context
            else { continue }
            self.deliveries.append(.answer(context: context, answer, isAlsoEvent: false))
        }
    }

    /// Tells the owner something that wants no answer.
    func notifyOwner(_ input: ConversationInput, _ slot: UInt32, outbox: inout Outbox) {
        outbox.send(self.input(input, slot), to: self.feeds[slot].owner)
    }

    func input(_ input: ConversationInput, _ slot: UInt32) -> Envelope.Item {
        .input(
            Envelope.Input(
                conversation: self.feeds[slot].key, input: input,
                ownerSlot: self.feeds[slot].ownerSlot, feedSlot: slot))
    }

    /// The owner's answer to somebody who wants to come in.
    mutating func receiveJoinAnswer(
        to request: RequestID, _ pending: OwnerRequests.OwnerRequest, _ entrance: JoinRequest,
        _ answer: ChatAnswer, at now: ClockReading, outbox: inout Outbox
    ) {
        guard let feed = pending.feed, self.feeds.isCurrent(feed) else { return }
        let slot = feed.slot
        let person = entrance.principal.person
        self.feeds[slot].subscribers.update(person.id) { $0.pendingJoins -= 1 }
        guard case .joined(let entered) = answer else {
            if let context = pending.context, !pending.isCancelled {
                self.deliveries.append(.answer(context: context, answer, isAlsoEvent: false))
            }
            // It may have been let in all the same, and the answer lost: it takes its leave as if it had been.
            self.releaseConnection(of: person.id, slot, outbox: &outbox)
            return
        }
        self.feeds[slot].subscribers.update(person.id) { listener in
            listener.connections += 1
            listener.person = person
        }
        self.applyJoinResult(slot, with: entered, for: person.id, at: now, outbox: &outbox)
        if pending.isCancelled {
            self.unsubscribe(from: feed, user: person.id, outbox: &outbox)
        } else if let context = pending.context {
            self.deliveries.append(.answer(context: context, answer, isAlsoEvent: false))
            self.answeredJoins.append(AnsweredJoin(request: request, feed: feed, user: person.id))
        }
    }

    private mutating func applyJoinResult(
        _ slot: UInt32, with entered: JoinResult, for newcomer: UserID, at now: ClockReading,
        outbox: inout Outbox
    ) {
        let news = self.feeds[slot].presenceChanges(toReach: entered, newcomer: newcomer, at: now)
        switch self.feeds[slot].state {
        case .opening:
            self.feeds[slot].state = .live
            self.feeds[slot].revision = entered.revision
            // A page that is older than that is of a store that has forgotten something.
            self.feeds[slot].amendedThrough = entered.revision
            self.feeds[slot].deliveredThrough = entered.head
            self.feeds[slot].loggedFrom = entered.head + 1
            self.feeds[slot].isEnded = entered.isEnded
            if self.feeds[slot].mustRepair { self.repair(slot, at: now, outbox: &outbox) }
        case .live, .repairing:
            if !news.isEmpty { self.deliver(.presence(news), slot) }
            if case .live = self.feeds[slot].state, entered.revision > self.feeds[slot].revision {
                self.repair(slot, at: now, outbox: &outbox)
            }
        }
    }

    /// For everybody who listens.
    mutating func deliver(_ event: ChatEvent, _ slot: UInt32, answering context: UInt64? = nil) {
        if case .posted(let message) = event { self.recordQueued(message, self.feeds.id(at: slot)) }
        self.deliveries.append(.event(self.feeds.id(at: slot), event, answering: context))
    }
}
