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
    /// So many messages are looked at to find one that stands as it was posted, and so says when that was.
    private static let postingLook = 20

    mutating func cameIn(
        _ slot: Int, _ talk: WebSocketTalk, _ feed: FeedID, _ key: ConversationKey, _ entered: Entered, from beginning: Beginning,
        askedAt: Timestamp
    ) {
        let (after, since): (SequenceNumber?, Revision?) =
            switch beginning {
            case .now: (nil, nil)
            case .after(let sequence, let revision): (sequence, revision)
            case .unread: (entered.member?.readCursor ?? 0, nil)
            }
        let place = self.audiences.insert(
            UInt32(slot), into: feed, key: key, dialect: talk.dialect, isCompressed: talk.isCompressed, isPersonal: talk.isPersonal,
            isLive: false,
            reportedThrough: entered.head)
        let state = WebSocketTalk.CatchUp(from: min(after ?? entered.head, entered.head))
        if let after, case .after = beginning {
            if after > entered.head || since ?? 0 > entered.revision {
                state.claim = .init(
                    through: after, revision: since, saidAt: askedAt, head: entered.head, knownRevision: entered.revision)
            }
            // Before the first message nothing is older; and nothing has changed for whoever knows of the last change.
            let knowsAll = state.claim == nil && since ?? 0 >= max(entered.revision, self.chat.amendedThrough(feed))
            if after > 0, !knowsAll {
                state.changes = since.map { .since($0, mayBeTooOld: entered.oldest > 1) } ?? .sincePosting
                // Whatever the client asks for is answered behind that: an answer may bring a higher revision. But an owner that is behind
                // its store may need to be asked something to notice.
                if state.claim == nil {
                    state.holdsReading = true
                    self.await(slot, talk)
                }
            }
        }
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
        if let read = Self.nextLook(of: state, shown) {
            state.reading = shown
            self.look(read, at: talk.memberships[index].conversation, feed, self.connections[slot]!.token)
        } else if state.through == shown {
            if !self.held.isEmpty, self.isHeld(feed, talk.dialect) {
                // It would hear once more what it has just read; released, that wakes it.
                self.audiences[feed].isAwaited = true
                return
            }
            self.goLive(slot, talk, index)
        } else if state.through > shown {
            // The feed has missed something itself: what it shows next may be what this client has had.
            self.audiences[feed].isAwaited = true
        }
    }

    /// What has to be read next; nil when nothing has, or nothing can be said of it before the feed has gone on.
    private static func nextLook(of state: WebSocketTalk.CatchUp, _ shown: SequenceNumber) -> WebSocketTalk.CatchUpLook? {
        if state.claim != nil { return .claim(after: state.through) }
        switch state.changes {
        case .since(_, mayBeTooOld: true): return .oldest
        case .since(let revision, mayBeTooOld: false): return .changes(through: state.through, since: revision)
        case .sincePosting: return .posting(state.through)
        case nil: return state.through < shown ? .messages(after: state.through) : nil
        }
    }

    private mutating func look(_ look: WebSocketTalk.CatchUpLook, at key: ConversationKey, _ feed: FeedID, _ token: SocketToken) {
        let context = self.questions.insert(Question(token: token, kind: .catchUp(feed, look)))
        switch look {
        case .claim(let after), .messages(let after): self.chat.read(key, .after(after), limit: Self.pageMessages, context: context)
        case .oldest: self.chat.read(key, .after(0), limit: 1, context: context)
        case .posting(let sequence): self.chat.read(key, .before(sequence + 1), limit: Self.postingLook, context: context)
        case .changes(let through, let since):
            self.chat.readAmended(key, through: through, since: since, limit: Self.pageMessages, context: context)
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
    mutating func catchUp(_ slot: Int, _ talk: WebSocketTalk, _ feed: FeedID, _ look: WebSocketTalk.CatchUpLook, with page: Page?) {
        guard let index = talk.memberships.firstIndex(where: { $0.feed == feed }), let state = talk.memberships[index].catchUp else {
            return
        }
        guard let page else {
            // Better no connection than one with a gap: the client comes back with the same point.
            self.closeWebSocket(slot, talk, .tryAgainLater, "the history cannot be read at the moment; try again")
            return
        }
        let key = talk.memberships[index].conversation
        if case .messages = look { return self.catchUp(slot, talk, index, with: page) }
        state.reading = nil
        self.behind.append((self.connections[slot]!.token, feed))
        switch look {
        case .claim: self.judge(slot, talk, index, by: page)
        case .oldest:
            guard case .since(let revision, _)? = state.changes else { return }
            // Of messages that are no longer kept nobody knows whether they changed. Of one that was amended it is not known when it came.
            if let oldest = page.messages.first, oldest.state == .asSent, revision < oldest.revision, page.oldest > 1 {
                self.startOver(slot, talk, index, at: page.oldest)
            } else {
                state.changes = .since(revision, mayBeTooOld: false)
            }
        case .posting:
            // Where all were amended, everything that ever changed is sent: too much rather than too little.
            let posted = page.messages.last { $0.state == .asSent && $0.sequence <= state.through }
            state.changes = .since(posted?.revision ?? 0, mayBeTooOld: false)
        case .changes:
            self.sendChanges(page.amended, of: key, to: slot, talk)
            if let last = page.amended.last, page.amended.count == Self.pageMessages {
                state.changes = .since(last.revision, mayBeTooOld: false)
            } else {
                self.endChanges(slot, talk, state)
            }
        case .messages: break
        }
    }

    /// What the client has of the past is as everybody has it.
    mutating func endChanges(_ slot: Int, _ talk: WebSocketTalk, _ state: WebSocketTalk.CatchUp) {
        state.changes = nil
        guard state.holdsReading else { return }
        state.holdsReading = false
        if self.isThere(slot), !talk.hasSentClose { self.awaitedCame(slot, talk) }
    }

    /// The client is sent everything that is kept, and is told so.
    private mutating func startOver(_ slot: Int, _ talk: WebSocketTalk, _ index: Int, at oldest: SequenceNumber) {
        let membership = talk.memberships[index]
        guard let state = membership.catchUp else { return }
        talk.memberships[index].catchUp = WebSocketTalk.CatchUp(from: oldest - 1, answered: state.answered)
        talk.session?.historyTruncated(in: membership.conversation, oldest: oldest, into: &self.steps)
        self.runSteps(slot, talk)
        self.endChanges(slot, talk, state)
    }

    /// The store has been asked of what the owner did not know.
    private mutating func judge(_ slot: Int, _ talk: WebSocketTalk, _ index: Int, by page: Page) {
        let membership = talk.memberships[index]
        guard let state = membership.catchUp, let claim = state.claim else { return }
        state.claim = nil
        if claim.through > claim.head, !self.isKnown(claim, by: page) {
            talk.session?.historyReset(in: membership.conversation, head: claim.head, into: &self.steps)
            self.runSteps(slot, talk)
            self.endChanges(slot, talk, state)
        } else if let revision = claim.revision, revision > claim.knownRevision, !self.isKnown(revision, claim, by: page) {
            self.startOver(slot, talk, index, at: page.oldest)
        } else {
            let next = WebSocketTalk.CatchUp(from: claim.through, answered: state.answered)
            next.changes = state.changes
            talk.memberships[index].catchUp = next
        }
    }

    /// Messages that were missed.
    private mutating func catchUp(_ slot: Int, _ talk: WebSocketTalk, _ index: Int, with page: Page) {
        let feed = talk.memberships[index].feed
        guard let state = talk.memberships[index].catchUp else { return }
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

    /// The same of a revision: the store has had it before the client named it. What was edited then does not say when.
    private func isKnown(_ revision: Revision, _ claim: WebSocketTalk.CatchUp.Claim, by page: Page) -> Bool {
        guard revision <= page.revision else { return false }
        return page.messages.allSatisfy { $0.revision <= claim.knownRevision || $0.revision > revision || $0.sentAt < claim.saidAt }
    }

    /// Whether a connection is still to be sent what had changed before it came.
    mutating func awaitsChanges(_ slot: Int, of feed: FeedID) -> Bool {
        guard let state = self.connections[slot]?.talk?.memberships.first(where: { $0.feed == feed })?.catchUp else { return false }
        return state.changes != nil || state.claim != nil
    }

    private mutating func sendChanges(_ messages: [Message], of key: ConversationKey, to slot: Int, _ talk: WebSocketTalk) {
        self.framing.removeAll()
        for message in messages {
            self.rendering.removeAll()
            let event: ChatEvent = message.state == .deleted ? .deleted(message) : .edited(message)
            self.shared.settings.dialects[talk.dialect].render(event, in: key, into: &self.rendering)
            for place in self.rendering.frames.indices { self.frame(place, compress: talk.isCompressed) }
            if self.framing.count >= Self.pieceBytes { self.sendFraming(slot) }
        }
        self.sendFraming(slot)
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
