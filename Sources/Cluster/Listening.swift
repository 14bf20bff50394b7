import Bytes
import ChatCore
import ChatModel

/// The conversations that a loop listens to, and what it has asked of their owners.
struct Listening: Sendable {
    let id: OwnerID
    var feeds = FeedTable()
    var requests = Requests()
    var reads: [StoreTicket: Purpose] = [:]
    var deliveries: [Delivery] = []
    /// Feeds with reports of deliveries that have not left.
    var reporting: [FeedID] = []
    private var mintedIDs: UInt64 = 0

    /// What a page of the store is for.
    enum Purpose: Sendable {
        case page(context: UInt64, ConversationKey, PageRange, limit: Int, attempts: Int)
        case repair(FeedID)
    }

    /// A request is over after this, whatever became of it; promise 5 of the design.
    static let patience: Int64 = 5000
    static let askAgainAfter: Int64 = 1000
    static let refusedPause: Int64 = 250
    static let repairPause: Int64 = 2000
    static let repairPage = 200

    init(id: OwnerID) {
        self.id = id
    }

    mutating func takeDeliveries() -> [Delivery] {
        var deliveries: [Delivery] = []
        deliveries.reserveCapacity(min(self.deliveries.count, 4096))
        swap(&deliveries, &self.deliveries)
        return deliveries
    }

    mutating func mintClientID() -> ClientID {
        self.mintedIDs += 1
        return ClientID(mintedFrom: StableHash.mix(self.id.incarnation ^ StableHash.mix(UInt64(self.id.loop) + 1)), count: self.mintedIDs)
    }

    func shownThrough(_ feed: FeedID) -> SequenceNumber {
        self.feeds.isCurrent(feed) ? self.feeds[feed.slot].shownThrough : 0
    }

    // MARK: Coming and going

    mutating func enter(
        _ key: ConversationKey, _ entrance: Entrance, owner: OwnerID, context: UInt64, at now: Moment, outbox: inout Outbox
    ) -> (feed: FeedID, request: RequestID) {
        let slot = self.feeds.slot(of: key) ?? self.feeds.open(Feed(key: key, owner: owner))
        let person = entrance.actor.person
        self.feeds[slot].connectionCount += 1
        self.feeds[slot].listeners[person.id, default: Feed.Listener(person: person)].entering += 1
        let feed = self.feeds.name(slot)
        let request = self.ask(.command(.enter(entrance)), in: key, through: feed, owner: owner, context: context, at: now, outbox: &outbox)
        return (feed, request)
    }

    mutating func leave(_ feed: FeedID, _ user: UserID, outbox: inout Outbox) {
        guard self.feeds.isCurrent(feed), let listener = self.feeds[feed.slot].listeners[user], listener.connections > 0 else { return }
        self.feeds[feed.slot].listeners[user]?.connections -= 1
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
        let held = self.feeds[slot].takeHeld(through: .max) + self.feeds[slot].forget(through: .max).map(\.answering)
        self.feeds.close(slot)
        for request in held {
            guard let pending = self.requests.remove(request), let context = pending.context, let answer = pending.held else { continue }
            self.deliveries.append(.answer(context: context, answer, isShown: false))
        }
    }

    /// Tells the owner something that wants no answer.
    func tell(_ input: ConversationInput, _ slot: UInt32, outbox: inout Outbox) {
        let item = Envelope.Input(conversation: self.feeds[slot].key, input: input, ownerPlace: self.feeds[slot].ownerPlace, feedPlace: slot)
        outbox.send(.input(item), to: self.feeds[slot].owner)
    }

    /// The owner's answer to somebody who wants to come in.
    mutating func cameIn(_ pending: Requests.Pending, _ entrance: Entrance, _ answer: ChatAnswer, at now: Moment, outbox: inout Outbox) {
        guard let feed = pending.feed, self.feeds.isCurrent(feed) else { return }
        let slot = feed.slot
        let person = entrance.actor.person
        self.feeds[slot].listeners[person.id]?.entering -= 1
        guard case .entered(let entered) = answer else {
            if let context = pending.context, !pending.isCancelled {
                self.deliveries.append(.answer(context: context, answer, isShown: false))
            }
            // It may have been let in all the same, and the answer lost: it takes its leave as if it had been.
            self.forget(person.id, slot, outbox: &outbox)
            return
        }
        self.feeds[slot].listeners[person.id]?.connections += 1
        self.feeds[slot].listeners[person.id]?.person = person
        self.opened(slot, with: entered, for: person.id, at: now, outbox: &outbox)
        if pending.isCancelled {
            self.leave(feed, person.id, outbox: &outbox)
        } else if let context = pending.context {
            self.deliveries.append(.answer(context: context, answer, isShown: false))
        }
    }

    private mutating func opened(_ slot: UInt32, with entered: Entered, for newcomer: UserID, at now: Moment, outbox: inout Outbox) {
        let news = self.feeds[slot].news(towards: entered, newcomer: newcomer, at: now)
        switch self.feeds[slot].state {
        case .opening:
            self.feeds[slot].state = .live
            self.feeds[slot].revision = entered.revision
            self.feeds[slot].shownThrough = entered.head
            self.feeds[slot].isEnded = entered.isEnded
            if self.feeds[slot].mustRepair { self.repair(slot, at: now, outbox: &outbox) }
        case .live, .repairing:
            if !news.isEmpty { self.deliver(.presence(news), slot) }
            if case .live = self.feeds[slot].state, entered.revision > self.feeds[slot].revision { self.repair(slot, at: now, outbox: &outbox) }
        }
    }

    /// For everybody who listens.
    mutating func deliver(_ event: ChatEvent, _ slot: UInt32, answering context: UInt64? = nil) {
        self.deliveries.append(.event(self.feeds.name(slot), event, answering: context))
    }
}
