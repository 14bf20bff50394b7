import Bytes
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire

/// What a feed shows in a dialect that knows users by numbers, until those that are missing have been looked up; in order.
///
/// Nobody of that dialect goes live on the feed meanwhile. Frames for all but the asker's connection are for nobody here: who asked is
/// not remembered.
struct DeferredEvents {
    /// For whom.
    struct Key: Hashable {
        let feed: FeedID
        let dialect: Int
    }

    var events: [ChatEvent]

    /// More are not kept: whoever waits for them is sent away, and finds them in the history.
    static let limit = 1000
}

/// Users' numbers, where a rendering needs them: once for each user and loop.
extension LoopState {
    /// What numbers are looked up for.
    enum NumberLookupPurpose {
        case deferredEvents(DeferredEvents.Key)
        /// A page of what a connection missed; it is read again.
        case catchUp(FeedID)
    }

    func hasDeferredEvents(_ feed: FeedID, _ dialect: Int) -> Bool {
        self.deferredEvents[DeferredEvents.Key(feed: feed, dialect: dialect)] != nil
    }

    /// - Returns: whether something is held there, and this behind it.
    mutating func deferEvent(_ event: ChatEvent, _ place: DeferredEvents.Key) -> Bool {
        guard let count = self.deferredEvents[place]?.events.count else { return false }
        if count < DeferredEvents.limit {
            self.deferredEvents[place]!.events.append(event)
        } else {
            self.disconnectSubscribers(place)
        }
        return true
    }

    /// Looks up the numbers that the rendering lacks.
    mutating func lookUpNumbers(
        for use: NumberLookupPurpose, of token: SocketToken? = nil, in tenant: ByteString
    ) {
        let users = Array(
            self.rendering.usersWithoutNumber.prefix(StoreRequest.usersPerRequestLimit))
        let question = RequestContext(
            token: token ?? SocketToken(slot: 0, generation: 0),
            kind: .numbers(use, users, tenant: tenant))
        let context = self.requestContexts.insert(question)
        self.shared.stores[self.index].submit(
            .numbers(of: users, tenant: tenant), ticket: context, for: self.sessionsClient)
    }

    mutating func handleNumbersReply(
        _ answer: StoreAnswer, _ use: NumberLookupPurpose, _ users: [UserID], _ tenant: ByteString,
        _ question: RequestContext
    ) {
        var isKnown = false
        if case .numbers(let numbers) = answer {
            self.rendering.userNumbers.record(numbers, of: users, in: tenant)
            isKnown = true
        }
        switch use {
        case .deferredEvents(let place):
            guard isKnown else { return self.disconnectSubscribers(place) }
            self.release(place)
        case .catchUp(let feed):
            guard let (slot, talk) = self.requester(question.token) else { return }
            guard isKnown else { return self.closeForMissingNumbers(slot, talk) }
            talk.subscriptions.first { $0.feed == feed }?.catchUp?.feedHeadAtRequest = nil
            self.catchUpQueue.append((question.token, feed))
        }
    }

    /// Whether these messages can be rendered; if not, the page is read again when they can.
    mutating func areNumbersKnown(
        _ messages: ArraySlice<Message>, of key: ConversationKey, for slot: Int,
        _ talk: WebSocketState, _ feed: FeedID
    ) -> Bool {
        guard !key.isPersonalInbox, self.shared.settings.dialects[talk.dialect].usesUserNumbers
        else { return true }
        self.rendering.removeAll()
        for message in messages {
            _ = self.rendering.number(of: message.body.author.id, in: key.tenant)
        }
        guard !self.rendering.usersWithoutNumber.isEmpty else { return true }
        self.lookUpNumbers(for: .catchUp(feed), of: self.connections[slot]!.token, in: key.tenant)
        return false
    }

    /// What was held goes out, as far as nothing else is missing.
    private mutating func release(_ place: DeferredEvents.Key) {
        guard let held = self.deferredEvents.removeValue(forKey: place),
            self.subscribers.isCurrent(place.feed),
            let key = self.subscribers[place.feed].key
        else { return }
        for event in held.events {
            self.broadcast(event, to: place.feed, key, only: place.dialect, context: nil)
        }
        guard !self.hasDeferredEvents(place.feed, place.dialect) else { return }
        // Those who could not go live, and the report that waited.
        self.subscribers[place.feed].hasWaitingCatchUp = true
        self.wakeWaitingSubscribers(place.feed)
        self.queueReportIfDue(place.feed)
    }

    /// Better no connection than one with a gap.
    private mutating func disconnectSubscribers(_ place: DeferredEvents.Key) {
        self.deferredEvents[place] = nil
        guard self.subscribers.isCurrent(place.feed) else { return }
        let listeners = self.subscribers[place.feed].groups.filter { $0.dialect == place.dialect }
            .flatMap { $0.live + $0.catchingUp }
        for slot in listeners.map(Int.init) {
            guard case .webSocket(let talk)? = self.connections[slot]?.phase, !talk.hasSentClose
            else { continue }
            self.closeForMissingNumbers(slot, talk)
        }
    }

    private mutating func closeForMissingNumbers(_ slot: Int, _ talk: WebSocketState) {
        self.closeWebSocket(
            slot, talk, .tryAgainLater,
            "users' numbers cannot be looked up at the moment; try again")
    }
}
