import Bytes
import ChatCore
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire

/// How a listener comes from where it was to where everybody is, without a gap and without a repeat.
///
/// Whoever comes in hears everything but messages at once, and messages from the moment at which what it has had, and what
/// it was sent from the store, meets what the feed has shown. That can be said only when all deliveries of the turn have
/// been handed out: before, the feed counts messages as shown that its listeners have not been sent.
extension LoopState {
    /// A page's frames leave in pieces of about this size, so that a connection that must end can do so soon.
    private static let pieceBytes = 64 << 10
    private static let pageMessages = 100

    mutating func cameIn(
        _ slot: Int, _ talk: WebSocketTalk, _ feed: FeedID, _ key: ConversationKey, _ entered: Entered, from beginning: Beginning,
        askedAt: Timestamp
    ) {
        let after: SequenceNumber? =
            switch beginning {
            case .now: nil
            case .after(let sequence): sequence
            case .unread: entered.member?.readCursor ?? 0
            }
        let place = self.audiences.insert(
            UInt32(slot), into: feed, key: key, dialect: talk.dialect, isCompressed: talk.isCompressed, isPersonal: talk.isPersonal,
            isLive: false,
            reportedThrough: entered.head)
        // A point above the owner's head means the head.
        let state = WebSocketTalk.CatchUp(from: min(after ?? entered.head, entered.head))
        if let after, after > entered.head { state.claim = .init(through: after, saidAt: askedAt) }
        if beginning == .unread { self.inboxes[UInt32(slot)] = OpenInbox(token: self.connections[slot]!.token, feed: feed, key: key) }
        talk.memberships.append(WebSocketTalk.Membership(feed: feed, conversation: key, place: place, catchUp: state))
        self.behind.append((self.connections[slot]!.token, feed))
    }

    /// The socket has taken what was written: those conversations go on of which something is missing.
    mutating func goOnCatchingUp(_ slot: Int, _ talk: WebSocketTalk) {
        guard let token = self.connections[slot]?.token else { return }
        for membership in talk.memberships where membership.catchUp != nil { self.behind.append((token, membership.feed)) }
    }

    /// A message came to a feed on which listeners wait who know of more than it had shown.
    mutating func wakeAwaiting(_ feed: FeedID) {
        guard self.audiences[feed].isAwaited else { return }
        self.audiences[feed].isAwaited = false
        for place in self.audiences[feed].groups.indices {
            for slot in self.audiences[feed].groups[place].catchingUp {
                if let token = self.connections[Int(slot)]?.token { self.behind.append((token, feed)) }
            }
        }
    }

    mutating func catchUpAll() {
        guard !self.behind.isEmpty else { return }
        let behind = self.behind
        self.behind.clear()
        for (token, feed) in behind where self.isCurrent(token) {
            let slot = Int(token.slot)
            if case .webSocket(let talk) = self.connections[slot]!.stage, !talk.hasSentClose { self.catchUp(slot, talk, feed) }
        }
    }

    /// The next page, or the end of catching up.
    private mutating func catchUp(_ slot: Int, _ talk: WebSocketTalk, _ feed: FeedID) {
        guard let index = talk.memberships.firstIndex(where: { $0.feed == feed }), let state = talk.memberships[index].catchUp,
            state.reading == nil, self.connections[slot]!.backlog.isEmpty, !self.table.hot[slot].flags.contains(.isUnpolled),
            let user = talk.session?.actor?.person.id
        else { return }
        if state.through > state.taken {
            self.chat.delivered(feed, to: user, state.taken + 1...state.through)
            state.taken = state.through
        }
        let shown = self.chat.shownThrough(feed)
        if state.through == shown, state.claim == nil {
            if !self.held.isEmpty, self.isHeld(feed, talk.dialect) {
                // It would hear once more what it has just read; released, that wakes it.
                self.audiences[feed].isAwaited = true
                return
            }
            self.goLive(slot, talk, index)
        } else if state.through > shown {
            // The feed has missed something itself: what it shows next may be what this client has had.
            self.audiences[feed].isAwaited = true
        } else {
            state.reading = shown
            let context = self.questions.insert(Question(token: self.connections[slot]!.token, kind: .catchUp(feed)))
            self.chat.read(talk.memberships[index].conversation, .after(state.through), limit: Self.pageMessages, context: context)
        }
    }

    private mutating func goLive(_ slot: Int, _ talk: WebSocketTalk, _ index: Int) {
        let membership = talk.memberships[index]
        // In before out: an audience without listeners is forgotten.
        let place = self.audiences.insert(
            UInt32(slot), into: membership.feed, key: membership.conversation, dialect: talk.dialect, isCompressed: talk.isCompressed,
            isPersonal: talk.isPersonal, isLive: true,
            reportedThrough: 0)
        self.removeListener(membership, talk)
        talk.memberships[index].place = place
        talk.memberships[index].catchUp = nil
    }

    /// A page of what was missed; nil: the store could not give it.
    mutating func catchUp(_ slot: Int, _ talk: WebSocketTalk, _ feed: FeedID, with page: Page?) {
        guard let index = talk.memberships.firstIndex(where: { $0.feed == feed }), let state = talk.memberships[index].catchUp else {
            return
        }
        guard let page else {
            // Better no connection than one with a gap: the client comes back with the same point.
            self.closeWebSocket(slot, talk, .tryAgainLater, "the history cannot be read at the moment; try again")
            return
        }
        if let claim = state.claim {
            state.claim = nil
            if self.isKnown(claim, by: page) {
                talk.memberships[index].catchUp = WebSocketTalk.CatchUp(from: claim.through)
                self.behind.append((self.connections[slot]!.token, feed))
                return
            }
        }
        let shown = self.chat.shownThrough(feed)
        // The page may be older than what was shown while it came, and says nothing of that.
        let asked = state.reading ?? shown
        // What the store has and the feed has not shown yet comes live. Of what is not in the store nothing is left.
        let messages = page.messages.prefix { $0.sequence <= shown }
        let key = talk.memberships[index].conversation
        guard self.areNumbersKnown(messages, of: key, for: slot, talk, feed) else { return }
        if page.messages.first.map({ $0.sequence > state.through + 1 }) ?? (state.through < asked) {
            talk.session?.historyTruncated(in: key, oldest: page.messages.first?.sequence ?? page.oldest, into: &self.steps)
            self.runSteps(slot, talk)
            guard self.isThere(slot), !talk.hasSentClose else { return }
        }
        state.through = messages.last?.sequence ?? asked
        state.reading = nil
        self.send(messages, of: key, to: slot, talk, but: state.answered)
        guard self.connections[slot]?.backlog.isEmpty == true else { return }
        self.behind.append((self.connections[slot]!.token, feed))
    }

    /// Whether the client may have had what the owner did not know of.
    ///
    /// That may be one which slept, or was cut off, while others took over: then the store has had messages for a while that are news to
    /// it. Or it has yet to hear from its store, by a slow link, what other nodes heard when it was stored. The client, who was elsewhere,
    /// would hear them once more. What was sent only when the client had asked is none of those.
    private func isKnown(_ claim: WebSocketTalk.CatchUp.Claim, by page: Page) -> Bool {
        guard claim.through <= page.head, let newest = page.messages.last(where: { $0.sequence <= claim.through }) else { return false }
        return newest.sentAt < claim.saidAt
    }

    private mutating func send(
        _ messages: ArraySlice<Message>, of key: ConversationKey, to slot: Int, _ talk: WebSocketTalk, but answered: Set<SequenceNumber>
    ) {
        if key.isPersonalInbox { return messages.forEach { self.deliver($0, in: key, to: slot, talk) } }
        if talk.isPersonal { return messages.forEach { self.show($0, in: key, to: slot, talk, but: answered) } }
        self.framing.removeAll()
        for message in messages {
            self.rendering.removeAll()
            self.shared.settings.dialects[talk.dialect].render(.posted(message), in: key, into: &self.rendering)
            for place in self.rendering.frames.indices {
                if self.rendering.frames[place].audience == .otherConnections, answered.contains(message.sequence) { continue }
                self.frame(place, compress: talk.isCompressed)
            }
            if self.framing.count >= Self.pieceBytes { self.sendFraming(slot) }
        }
        self.sendFraming(slot)
        self.counters.delivered[talk.dialect + 1] &+= UInt64(messages.count)
    }

    /// A message that was missed, for somebody who gets something of its own with it.
    private mutating func show(
        _ message: Message, in key: ConversationKey, to slot: Int, _ talk: WebSocketTalk, but answered: Set<SequenceNumber>
    ) {
        guard self.isThere(slot), !talk.hasSentClose else { return }
        self.framing.removeAll()
        self.rendering.removeAll()
        self.shared.settings.dialects[talk.dialect].render(.posted(message), in: key, into: &self.rendering)
        for place in self.rendering.frames.indices where !self.rendering.frames[place].unlessPersonal {
            if self.rendering.frames[place].audience == .otherConnections, answered.contains(message.sequence) { continue }
            self.frame(place, compress: talk.isCompressed)
        }
        self.sendFraming(slot)
        self.counters.delivered[talk.dialect + 1] &+= 1
        talk.session?.shown(message, in: key, into: &self.steps)
        self.runSteps(slot, talk, isPaced: true)
    }

    private mutating func sendFraming(_ slot: Int) {
        guard !self.framing.isEmpty else { return }
        self.sendPaced(slot, SharedFrame(self.framing.bytes))
        self.framing.removeAll()
    }
}
