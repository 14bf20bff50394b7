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
struct HeldEvents {
    /// For whom.
    struct Place: Hashable {
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
    enum NumbersUse {
        case held(HeldEvents.Place)
        /// A page of what a connection missed; it is read again.
        case catchUp(FeedID)
    }

    func isHeld(_ feed: FeedID, _ dialect: Int) -> Bool {
        self.held[HeldEvents.Place(feed: feed, dialect: dialect)] != nil
    }

    /// - Returns: whether something is held there, and this behind it.
    mutating func hold(_ event: ChatEvent, _ place: HeldEvents.Place) -> Bool {
        guard let count = self.held[place]?.events.count else { return false }
        if count < HeldEvents.limit {
            self.held[place]!.events.append(event)
        } else {
            self.sendAway(place)
        }
        return true
    }

    /// Looks up the numbers that the rendering lacks.
    mutating func lookUpNumbers(for use: NumbersUse, of token: SocketToken? = nil, in tenant: ByteString) {
        let users = Array(self.rendering.unnumbered.prefix(StoreRequest.numbersLimit))
        let question = Question(token: token ?? SocketToken(slot: 0, generation: 0), kind: .numbers(use, users, tenant: tenant))
        let context = self.questions.insert(question)
        self.shared.stores[self.index].submit(.numbers(of: users, tenant: tenant), ticket: context, for: self.sessionsClient)
    }

    mutating func numbered(_ answer: StoreAnswer, _ use: NumbersUse, _ users: [UserID], _ tenant: ByteString, _ question: Question) {
        var isKnown = false
        if case .numbers(let numbers) = answer {
            self.rendering.numbers.note(numbers, of: users, in: tenant)
            isKnown = true
        }
        switch use {
        case .held(let place):
            guard isKnown else { return self.sendAway(place) }
            self.release(place)
        case .catchUp(let feed):
            guard let (slot, talk) = self.asker(question.token) else { return }
            guard isKnown else { return self.closeForWantOfNumbers(slot, talk) }
            talk.memberships.first { $0.feed == feed }?.catchUp?.reading = nil
            self.behind.append((question.token, feed))
        }
    }

    /// Whether these messages can be rendered; if not, the page is read again when they can.
    mutating func areNumbersKnown(
        _ messages: ArraySlice<Message>, of key: ConversationKey, for slot: Int, _ talk: WebSocketTalk, _ feed: FeedID
    ) -> Bool {
        guard !key.isPersonalInbox, self.shared.settings.dialects[talk.dialect].numbersUsers else { return true }
        self.rendering.removeAll()
        for message in messages { _ = self.rendering.number(of: message.body.author.id, in: key.tenant) }
        guard !self.rendering.unnumbered.isEmpty else { return true }
        self.lookUpNumbers(for: .catchUp(feed), of: self.connections[slot]!.token, in: key.tenant)
        return false
    }

    /// What was held goes out, as far as nothing else is missing.
    private mutating func release(_ place: HeldEvents.Place) {
        guard let held = self.held.removeValue(forKey: place), self.audiences.isCurrent(place.feed),
            let key = self.audiences[place.feed].key
        else { return }
        for event in held.events { self.broadcast(event, to: place.feed, key, only: place.dialect, askedBy: nil) }
        guard !self.isHeld(place.feed, place.dialect) else { return }
        // Those who could not go live, and the report that waited.
        self.audiences[place.feed].isAwaited = true
        self.wakeAwaiting(place.feed)
        self.considerReporting(place.feed)
    }

    /// Better no connection than one with a gap.
    private mutating func sendAway(_ place: HeldEvents.Place) {
        self.held[place] = nil
        guard self.audiences.isCurrent(place.feed) else { return }
        let listeners = self.audiences[place.feed].groups.filter { $0.dialect == place.dialect }.flatMap { $0.live + $0.catchingUp }
        for slot in listeners.map(Int.init) {
            guard case .webSocket(let talk)? = self.connections[slot]?.stage, !talk.hasSentClose else { continue }
            self.closeForWantOfNumbers(slot, talk)
        }
    }

    private mutating func closeForWantOfNumbers(_ slot: Int, _ talk: WebSocketTalk) {
        self.closeWebSocket(slot, talk, .tryAgainLater, "users' numbers cannot be looked up at the moment; try again")
    }
}
