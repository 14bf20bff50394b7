import Bytes
import ChatCore
import ChatModel

/// The conversations that a loop listens to, and what it has asked of their owners.
struct Listening: Sendable {
    private(set) var id: OwnerID
    var feeds = FeedTable()
    var requests = Requests()
    var reads: [StoreTicket: Purpose] = [:]
    var deliveries: [Delivery] = []
    /// How often deliveries have been taken.
    private var takes: UInt64 = 1
    /// Entrances whose answers nobody may have seen yet.
    private var entrances: [AnsweredEntrance] = []
    /// Feeds with reports of deliveries that have not left, or had some since the last look.
    var reporting: [FeedID] = []
    /// Feeds with pages that wait for them.
    var holding: [FeedID] = []
    var lookedForOldPagesAt: Int64 = 0
    /// What may have to be shown otherwise, because the store has forgotten it.
    var shown: ShownMessages
    /// When that is looked at again.
    var checksDue: [Int64] = []
    private var mintedIDs: UInt64 = 0

    /// What a page of the store is for.
    enum Purpose: Sendable {
        case page(Feed.PageRead)
        case repair(FeedID)
        /// Of what was shown, which is held against it.
        case check(FeedID, [ShownMessages.Item])
    }

    private struct AnsweredEntrance: Sendable {
        let request: RequestID
        let feed: FeedID
        let user: UserID
        /// Taken with the last deliveries: when the next are taken it has been seen.
        var isHandedOut = false
    }

    /// A request is over after this, whatever became of it: the answer has two ticks to reach its client within 5 s, promise 5 of the design.
    static let patience: Int64 = 4800
    /// Enough for a store that works, however long the client has waited for something else.
    private static let shortestPatience: Int64 = 100

    static func patience(since askedAt: Int64?, at now: Moment) -> Int64 {
        guard let askedAt else { return Self.patience }
        return max(Self.shortestPatience, Self.patience - (now.monotonic - askedAt))
    }
    /// An offer of what the store may have forgotten is of use for as long as it is held.
    static let offerPatience: Int64 = 60_000
    static let askAgainAfter: Int64 = 1000
    static let refusedPause: Int64 = 250
    static let repairPause: Int64 = 2000
    static let pagePatience: Int64 = 2000
    static let pageAttempts = 8
    static let repairPage = 200
    static let secondCheck: Int64 = 5000
    static let undecidedCheck: Int64 = 1000

    init(id: OwnerID, hold: Duration) {
        self.id = id
        self.shown = ShownMessages(within: hold)
    }

    /// Another incarnation listens: every owner hears so.
    mutating func become(_ id: OwnerID, view: View, at now: Moment, outbox: inout Outbox) {
        self.id = id
        self.follow(view, isEverythingNew: true, at: now, outbox: &outbox)
    }

    /// What there is for listeners, up to the first message behind an entrance or a page.
    ///
    /// Whoever comes in or reads a page asks at once how far the feed has shown, and that must be what has been taken:
    /// with a message further on in the same list it would be shown that message twice.
    mutating func takeDeliveries(into deliveries: inout [Delivery]) {
        deliveries.clear()
        if let cut = self.deliveries.firstMessageBehindAnArrival {
            deliveries.append(contentsOf: self.deliveries[..<cut])
            self.deliveries.removeFirst(cut)
            self.takes += 1
            for delivery in self.deliveries {
                if case .event(let feed, .posted(let message), _) = delivery { self.noteUntaken(message, feed) }
            }
        } else {
            self.entrances.removeAll { $0.isHandedOut }
            for place in self.entrances.indices { self.entrances[place].isHandedOut = true }
            swap(&deliveries, &self.deliveries)
            self.takes += 1
        }
    }

    mutating func mintClientID() -> ClientID {
        self.mintedIDs += 1
        return ClientID(mintedFrom: StableHash.mix(self.id.incarnation ^ StableHash.mix(UInt64(self.id.loop) + 1)), count: self.mintedIDs)
    }

    /// The newest message of the feed that has been taken.
    func shownThrough(_ feed: FeedID) -> SequenceNumber {
        guard self.feeds.isCurrent(feed) else { return 0 }
        return self.feeds[feed.slot].untakenSince == self.takes ? self.feeds[feed.slot].untakenFrom - 1 : self.feeds[feed.slot].shownThrough
    }

    private mutating func noteUntaken(_ message: Message, _ feed: FeedID) {
        guard self.feeds.isCurrent(feed), self.feeds[feed.slot].untakenSince != self.takes else { return }
        self.feeds[feed.slot].untakenSince = self.takes
        self.feeds[feed.slot].untakenFrom = message.sequence
    }

    // MARK: Coming and going

    /// Whoever asked to come in is gone. The answer may be among the deliveries that are just being looked at: then it
    /// has come in, and leaves.
    mutating func cancelEntrance(_ request: RequestID, outbox: inout Outbox) {
        self.requests.cancel(request)
        guard let place = self.entrances.firstIndex(where: { $0.request == request }) else { return }
        let entrance = self.entrances.remove(at: place)
        self.leave(entrance.feed, entrance.user, outbox: &outbox)
    }

    mutating func enter(
        _ key: ConversationKey, _ entrance: Entrance, owner: OwnerID, context: UInt64, askedAt: Int64? = nil, at now: Moment,
        outbox: inout Outbox
    ) -> (feed: FeedID, request: RequestID) {
        let slot = self.feeds.slot(of: key) ?? self.feeds.open(Feed(key: key, owner: owner))
        let person = entrance.actor.person
        self.feeds[slot].connectionCount += 1
        var listener = self.feeds[slot].listeners[person.id] ?? Feed.Listener(person: person)
        listener.entering += 1
        self.feeds[slot].listeners[person.id] = listener
        let feed = self.feeds.name(slot)
        let request = self.ask(
            .command(.enter(entrance)), in: key, through: feed, owner: owner, context: context,
            patience: Self.patience(since: askedAt, at: now), at: now, outbox: &outbox)
        return (feed, request)
    }

    mutating func leave(_ feed: FeedID, _ user: UserID, outbox: inout Outbox) {
        guard self.feeds.isCurrent(feed), let listener = self.feeds[feed.slot].listeners[user], listener.connections > 0 else { return }
        self.feeds[feed.slot].listeners.update(user) { $0.connections -= 1 }
        self.forget(user, feed.slot, outbox: &outbox)
    }

    /// One connection of this user's, or entrance, less: the last of them is the farewell, unless another is at the door.
    private mutating func forget(_ user: UserID, _ slot: UInt32, outbox: inout Outbox) {
        if let listener = self.feeds[slot].listeners[user], listener.connections == 0, listener.entering == 0 {
            self.feeds[slot].listeners[user] = nil
            self.report(slot, outbox: &outbox)
            self.tell(.leave(user), slot, outbox: &outbox)
        }
        self.feeds[slot].connectionCount -= 1
        if self.feeds[slot].connectionCount == 0 { self.close(slot, outbox: &outbox) }
    }

    private mutating func close(_ slot: UInt32, outbox: inout Outbox) {
        self.tell(.detach, slot, outbox: &outbox)
        // An attachment that were asked again would bring back listeners that are gone.
        _ = self.requests.remove(self.feeds[slot].attachment)
        let held = self.feeds[slot].takeHeld(nil) + self.feeds[slot].forget(through: .max).map(\.answering)
        self.requests.dissolveLine(of: slot)
        for read in self.feeds[slot].pages { self.deliveries.append(.page(context: read.context, read.page!)) }
        self.feeds.close(slot)
        for request in held {
            // One without an answer has been asked again.
            guard let answer = self.requests[request]?.held, let context = self.requests.remove(request)?.context else { continue }
            self.deliveries.append(.answer(context: context, answer, isShown: false))
        }
    }

    /// Tells the owner something that wants no answer.
    func tell(_ input: ConversationInput, _ slot: UInt32, outbox: inout Outbox) {
        outbox.send(self.input(input, slot), to: self.feeds[slot].owner)
    }

    func input(_ input: ConversationInput, _ slot: UInt32) -> Envelope.Item {
        .input(
            Envelope.Input(conversation: self.feeds[slot].key, input: input, ownerPlace: self.feeds[slot].ownerPlace, feedPlace: slot))
    }

    /// The owner's answer to somebody who wants to come in.
    mutating func cameIn(
        _ request: RequestID, _ pending: Requests.Pending, _ entrance: Entrance, _ answer: ChatAnswer, at now: Moment, outbox: inout Outbox
    ) {
        guard let feed = pending.feed, self.feeds.isCurrent(feed) else { return }
        let slot = feed.slot
        let person = entrance.actor.person
        self.feeds[slot].listeners.update(person.id) { $0.entering -= 1 }
        guard case .entered(let entered) = answer else {
            if let context = pending.context, !pending.isCancelled {
                self.deliveries.append(.answer(context: context, answer, isShown: false))
            }
            // It may have been let in all the same, and the answer lost: it takes its leave as if it had been.
            self.forget(person.id, slot, outbox: &outbox)
            return
        }
        self.feeds[slot].listeners.update(person.id) { listener in
            listener.connections += 1
            listener.person = person
        }
        self.opened(slot, with: entered, for: person.id, at: now, outbox: &outbox)
        if pending.isCancelled {
            self.leave(feed, person.id, outbox: &outbox)
        } else if let context = pending.context {
            self.deliveries.append(.answer(context: context, answer, isShown: false))
            self.entrances.append(AnsweredEntrance(request: request, feed: feed, user: person.id))
        }
    }

    private mutating func opened(_ slot: UInt32, with entered: Entered, for newcomer: UserID, at now: Moment, outbox: inout Outbox) {
        let news = self.feeds[slot].news(towards: entered, newcomer: newcomer, at: now)
        switch self.feeds[slot].state {
        case .opening:
            self.feeds[slot].state = .live
            self.feeds[slot].revision = entered.revision
            // A page that is older than that is of a store that has forgotten something.
            self.feeds[slot].amendedAt = entered.revision
            self.feeds[slot].shownThrough = entered.head
            self.feeds[slot].notedFrom = entered.head + 1
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
        if case .posted(let message) = event { self.noteUntaken(message, self.feeds.name(slot)) }
        self.deliveries.append(.event(self.feeds.name(slot), event, answering: context))
    }
}
