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
    private static let postingLookback = 20

    mutating func subscribe(
        _ slot: Int, _ talk: WebSocketState, _ feed: FeedID, _ key: ConversationKey,
        _ entered: JoinResult, from beginning: StartPosition,
        requestedAt askedAt: Timestamp
    ) {
        let (after, since): (SequenceNumber?, Revision?) =
            switch beginning {
            case .now: (nil, nil)
            case .after(let sequence, let revision): (sequence, revision)
            case .unread: (entered.member?.readCursor ?? 0, nil)
            }
        let place = self.subscribers.insert(
            UInt32(slot), into: feed, key: key, dialect: talk.dialect,
            isCompressed: talk.isCompressed, isPersonal: talk.isPersonal,
            isLive: false,
            reportedThrough: entered.head)
        let state = WebSocketState.CatchUp(from: min(after ?? entered.head, entered.head))
        if let after, case .after = beginning {
            if after > entered.head || since ?? 0 > entered.revision {
                state.unverifiedPosition = .init(
                    through: after, revision: since, requestedAt: askedAt, knownHead: entered.head,
                    knownRevision: entered.revision)
            }
            // Before the first message nothing is older; and nothing has changed for whoever knows of the last change.
            let knowsAll =
                state.unverifiedPosition == nil
                && since ?? 0 >= max(entered.revision, self.chat.amendedThrough(feed))
            if after > 0, !knowsAll {
                state.missedChanges =
                    since.map { .since($0, mayBeTooOld: entered.oldest > 1) } ?? .sinceLastMessage
                // Whatever the client asks for is answered behind that: an answer may bring a higher revision. But an owner that is behind
                // its store may need to be asked something to notice.
                if state.unverifiedPosition == nil {
                    state.blocksReading = true
                    self.blockReading(slot, talk)
                }
            }
        }
        if beginning == .unread {
            self.inboxCursors[UInt32(slot)] = InboxCursor(
                token: self.connections[slot]!.token, feed: feed, key: key)
        }
        talk.subscriptions.append(
            WebSocketState.ConversationSubscription(
                feed: feed, conversation: key, position: place, catchUp: state))
        self.catchUpQueue.append((self.connections[slot]!.token, feed))
    }

    /// The socket has taken what was written: those conversations go on of which something is missing.
    mutating func resumeCatchUp(_ slot: Int, _ talk: WebSocketState) {
        guard let token = self.connections[slot]?.token else { return }
        for membership in talk.subscriptions where membership.catchUp != nil {
            self.catchUpQueue.append((token, membership.feed))
        }
    }

    /// A message came to a feed on which listeners wait who know of more than it had shown.
    mutating func wakeWaitingSubscribers(_ feed: FeedID) {
        guard self.subscribers[feed].hasWaitingCatchUp else { return }
        self.subscribers[feed].hasWaitingCatchUp = false
        for place in self.subscribers[feed].groups.indices {
            for slot in self.subscribers[feed].groups[place].catchingUp {
                if let token = self.connections[Int(slot)]?.token {
                    self.catchUpQueue.append((token, feed))
                }
            }
        }
    }

    mutating func catchUpAll() {
        guard !self.catchUpQueue.isEmpty else { return }
        let behind = self.catchUpQueue
        self.catchUpQueue.clear()
        for (token, feed) in behind where self.isCurrent(token) {
            let slot = Int(token.slot)
            if case .webSocket(let talk) = self.connections[slot]!.phase, !talk.hasSentClose {
                self.continueCatchUp(slot, talk, feed)
            }
        }
    }

    /// The next page, or the end of catching up.
    private mutating func continueCatchUp(_ slot: Int, _ talk: WebSocketState, _ feed: FeedID) {
        guard let index = talk.subscriptions.firstIndex(where: { $0.feed == feed }),
            let state = talk.subscriptions[index].catchUp,
            state.feedHeadAtRequest == nil, self.connections[slot]!.backlog.isEmpty,
            !self.table.hot[slot].flags.contains(.hasUnpolledPackets),
            let user = talk.session?.principal?.person.id
        else { return }
        if state.sentThrough > state.deliveredThrough {
            self.chat.recordDelivery(
                in: feed, to: user, of: state.deliveredThrough + 1...state.sentThrough)
            state.deliveredThrough = state.sentThrough
        }
        let shown = self.chat.deliveredThrough(feed)
        if let read = Self.nextQuery(of: state, shown) {
            state.feedHeadAtRequest = shown
            self.submitQuery(
                read, in: talk.subscriptions[index].conversation, feed,
                self.connections[slot]!.token)
        } else if state.sentThrough == shown {
            if !self.deferredEvents.isEmpty, self.hasDeferredEvents(feed, talk.dialect) {
                // It would hear once more what it has just read; released, that wakes it.
                self.subscribers[feed].hasWaitingCatchUp = true
                return
            }
            self.goLive(slot, talk, index)
        } else if state.sentThrough > shown {
            // The feed has missed something itself: what it shows next may be what this client has had.
            self.subscribers[feed].hasWaitingCatchUp = true
        }
    }

    /// What has to be read next; nil when nothing has, or nothing can be said of it before the feed has gone on.
    private static func nextQuery(of state: WebSocketState.CatchUp, _ shown: SequenceNumber)
        -> WebSocketState.CatchUpQuery?
    {
        if state.unverifiedPosition != nil { return .unverified(after: state.sentThrough) }
        switch state.missedChanges {
        case .since(_, mayBeTooOld: true): return .oldest
        case .since(let revision, mayBeTooOld: false):
            return .changes(through: state.sentThrough, since: revision)
        case .sinceLastMessage: return .postedRevision(state.sentThrough)
        case nil: return state.sentThrough < shown ? .messages(after: state.sentThrough) : nil
        }
    }

    private mutating func submitQuery(
        _ look: WebSocketState.CatchUpQuery, in key: ConversationKey, _ feed: FeedID,
        _ token: SocketToken
    ) {
        let context = self.requestContexts.insert(
            RequestContext(token: token, kind: .catchUp(feed, look)))
        switch look {
        case .unverified(let after), .messages(let after):
            self.chat.readPage(key, .after(after), limit: Self.pageMessages, context: context)
        case .oldest: self.chat.readPage(key, .after(0), limit: 1, context: context)
        case .postedRevision(let sequence):
            self.chat.readPage(
                key, .before(sequence + 1), limit: Self.postingLookback, context: context)
        case .changes(let through, let since):
            self.chat.readAmendments(
                key, through: through, since: since, limit: Self.pageMessages, context: context)
        }
    }

    private mutating func goLive(_ slot: Int, _ talk: WebSocketState, _ index: Int) {
        let membership = talk.subscriptions[index]
        // In before out: an audience without listeners is forgotten.
        let place = self.subscribers.insert(
            UInt32(slot), into: membership.feed, key: membership.conversation,
            dialect: talk.dialect, isCompressed: talk.isCompressed,
            isPersonal: talk.isPersonal, isLive: true,
            reportedThrough: 0)
        self.removeSubscriber(membership, talk)
        talk.subscriptions[index].position = place
        talk.subscriptions[index].catchUp = nil
    }

    /// A page of what was missed; nil: the store could not give it.
    mutating func applyCatchUpPage(
        _ slot: Int, _ talk: WebSocketState, _ feed: FeedID, _ look: WebSocketState.CatchUpQuery,
        with page: MessagePage?
    ) {
        guard let index = talk.subscriptions.firstIndex(where: { $0.feed == feed }),
            let state = talk.subscriptions[index].catchUp
        else {
            return
        }
        guard let page else {
            // Better no connection than one with a gap: the client comes back with the same point.
            self.closeWebSocket(
                slot, talk, .tryAgainLater, "the history cannot be read at the moment; try again")
            return
        }
        let key = talk.subscriptions[index].conversation
        if case .messages = look { return self.sendCatchUpPage(slot, talk, index, with: page) }
        state.feedHeadAtRequest = nil
        self.catchUpQueue.append((self.connections[slot]!.token, feed))
        switch look {
        case .unverified: self.verifyPosition(slot, talk, index, by: page)
        case .oldest:
            guard case .since(let revision, _)? = state.missedChanges else { return }
            // Of messages that are no longer kept nobody knows whether they changed. Of one that was amended it is not known when it came.
            if let oldest = page.messages.first, oldest.state == .asSent,
                revision < oldest.revision, page.oldest > 1
            {
                self.restartFromOldest(slot, talk, index, at: page.oldest)
            } else {
                state.missedChanges = .since(revision, mayBeTooOld: false)
            }
        case .postedRevision:
            // Where all were amended, everything that ever changed is sent: too much rather than too little.
            let posted = page.messages.last {
                $0.state == .asSent && $0.sequence <= state.sentThrough
            }
            state.missedChanges = .since(posted?.revision ?? 0, mayBeTooOld: false)
        case .changes:
            self.sendChanges(page.amended, of: key, to: slot, talk)
            if let last = page.amended.last, page.amended.count == Self.pageMessages {
                state.missedChanges = .since(last.revision, mayBeTooOld: false)
            } else {
                self.finishChanges(slot, talk, state)
            }
        case .messages: break
        }
    }

    /// What the client has of the past is as everybody has it.
    mutating func finishChanges(
        _ slot: Int, _ talk: WebSocketState, _ state: WebSocketState.CatchUp
    ) {
        state.missedChanges = nil
        guard state.blocksReading else { return }
        state.blocksReading = false
        if self.isOccupied(slot), !talk.hasSentClose { self.unblockReading(slot, talk) }
    }

    /// The client is sent everything that is kept, and is told so.
    private mutating func restartFromOldest(
        _ slot: Int, _ talk: WebSocketState, _ index: Int, at oldest: SequenceNumber
    ) {
        let membership = talk.subscriptions[index]
        guard let state = membership.catchUp else { return }
        talk.subscriptions[index].catchUp = WebSocketState.CatchUp(
            from: oldest - 1, acknowledgedSends: state.acknowledgedSends)
        talk.session?.historyTruncated(
            in: membership.conversation, oldest: oldest, into: &self.steps)
        self.runSteps(slot, talk)
        self.finishChanges(slot, talk, state)
    }

    /// The store has been asked of what the owner did not know.
    private mutating func verifyPosition(
        _ slot: Int, _ talk: WebSocketState, _ index: Int, by page: MessagePage
    ) {
        let membership = talk.subscriptions[index]
        guard let state = membership.catchUp, let claim = state.unverifiedPosition else { return }
        state.unverifiedPosition = nil
        if claim.through > claim.knownHead, !self.isConfirmed(claim, by: page) {
            talk.session?.historyReset(
                in: membership.conversation, head: claim.knownHead, into: &self.steps)
            self.runSteps(slot, talk)
            self.finishChanges(slot, talk, state)
        } else if let revision = claim.revision, revision > claim.knownRevision,
            !self.isConfirmed(revision, claim, by: page)
        {
            self.restartFromOldest(slot, talk, index, at: page.oldest)
        } else {
            let next = WebSocketState.CatchUp(
                from: claim.through, acknowledgedSends: state.acknowledgedSends)
            next.missedChanges = state.missedChanges
            talk.subscriptions[index].catchUp = next
        }
    }

    /// Messages that were missed.
    private mutating func sendCatchUpPage(
        _ slot: Int, _ talk: WebSocketState, _ index: Int, with page: MessagePage
    ) {
        let feed = talk.subscriptions[index].feed
        guard let state = talk.subscriptions[index].catchUp else { return }
        let shown = self.chat.deliveredThrough(feed)
        // The page may be older than what was shown while it came, and says nothing of that.
        let asked = state.feedHeadAtRequest ?? shown
        // What the store has and the feed has not shown yet comes live. Of what is not in the store nothing is left.
        let messages = page.messages.prefix { $0.sequence <= shown }
        let key = talk.subscriptions[index].conversation
        guard self.areNumbersKnown(messages, of: key, for: slot, talk, feed) else { return }
        if page.messages.first.map({ $0.sequence > state.sentThrough + 1 })
            ?? (state.sentThrough < asked)
        {
            talk.session?.historyTruncated(
                in: key, oldest: page.messages.first?.sequence ?? page.oldest, into: &self.steps)
            self.runSteps(slot, talk)
            guard self.isOccupied(slot), !talk.hasSentClose else { return }
        }
        state.sentThrough = messages.last?.sequence ?? asked
        state.feedHeadAtRequest = nil
        self.sendMessages(messages, of: key, to: slot, talk, except: state.acknowledgedSends)
        guard self.connections[slot]?.backlog.isEmpty == true else { return }
        self.catchUpQueue.append((self.connections[slot]!.token, feed))
    }

    /// Whether the client may have had what the owner did not know of.
    ///
    /// That may be one which slept, or was cut off, while others took over: then the store has had messages for a while that are news to
    /// it. Or it has yet to hear from its store, by a slow link, what other nodes heard when it was stored. The client, who was elsewhere,
    /// would hear them once more. What was sent only when the client had asked is none of those.
    private func isConfirmed(
        _ claim: WebSocketState.CatchUp.UnverifiedPosition, by page: MessagePage
    ) -> Bool {
        guard claim.through <= page.head,
            let newest = page.messages.last(where: { $0.sequence <= claim.through })
        else { return false }
        return newest.sentAt < claim.requestedAt
    }

    /// The same of a revision: the store has had it before the client named it. What was edited then does not say when.
    private func isConfirmed(
        _ revision: Revision, _ claim: WebSocketState.CatchUp.UnverifiedPosition,
        by page: MessagePage
    ) -> Bool {
        guard revision <= page.revision else { return false }
        return page.messages.allSatisfy {
            $0.revision <= claim.knownRevision || $0.revision > revision
                || $0.sentAt < claim.requestedAt
        }
    }

    /// Whether a connection is still to be sent what had changed before it came.
    mutating func awaitsChanges(_ slot: Int, of feed: FeedID) -> Bool {
        guard
            let state = self.connections[slot]?.webSocket?.subscriptions.first(where: {
                $0.feed == feed
            })?.catchUp
        else { return false }
        return state.missedChanges != nil || state.unverifiedPosition != nil
    }

    private mutating func sendChanges(
        _ messages: [Message], of key: ConversationKey, to slot: Int, _ talk: WebSocketState
    ) {
        self.frameBuffer.removeAll()
        for message in messages {
            self.rendering.removeAll()
            let event: ChatEvent = message.state == .deleted ? .deleted(message) : .edited(message)
            self.shared.settings.dialects[talk.dialect].render(
                event, in: key, into: &self.rendering)
            for place in self.rendering.frames.indices {
                self.appendRenderedFrame(place, compress: talk.isCompressed)
            }
            if self.frameBuffer.count >= Self.pieceBytes { self.flushFrameBuffer(slot) }
        }
        self.flushFrameBuffer(slot)
    }

    private mutating func sendMessages(
        _ messages: ArraySlice<Message>, of key: ConversationKey, to slot: Int,
        _ talk: WebSocketState, except answered: Set<SequenceNumber>
    ) {
        if key.isPersonalInbox {
            return messages.forEach { self.deliverInboxMessage($0, in: key, to: slot, talk) }
        }
        if talk.isPersonal {
            return messages.forEach {
                self.sendPersonalized($0, in: key, to: slot, talk, except: answered)
            }
        }
        self.frameBuffer.removeAll()
        for message in messages {
            self.rendering.removeAll()
            self.shared.settings.dialects[talk.dialect].render(
                .posted(message), in: key, into: &self.rendering)
            for place in self.rendering.frames.indices {
                if self.rendering.frames[place].audience == .otherConnections,
                    answered.contains(message.sequence)
                {
                    continue
                }
                self.appendRenderedFrame(place, compress: talk.isCompressed)
            }
            if self.frameBuffer.count >= Self.pieceBytes { self.flushFrameBuffer(slot) }
        }
        self.flushFrameBuffer(slot)
        self.counters.delivered[talk.dialect + 1] &+= UInt64(messages.count)
    }

    /// A message that was missed, for somebody who gets something of its own with it.
    private mutating func sendPersonalized(
        _ message: Message, in key: ConversationKey, to slot: Int, _ talk: WebSocketState,
        except answered: Set<SequenceNumber>
    ) {
        guard self.isOccupied(slot), !talk.hasSentClose else { return }
        self.frameBuffer.removeAll()
        self.rendering.removeAll()
        self.shared.settings.dialects[talk.dialect].render(
            .posted(message), in: key, into: &self.rendering)
        for place in self.rendering.frames.indices
        where !self.rendering.frames[place].unlessPersonal {
            if self.rendering.frames[place].audience == .otherConnections,
                answered.contains(message.sequence)
            {
                continue
            }
            self.appendRenderedFrame(place, compress: talk.isCompressed)
        }
        self.flushFrameBuffer(slot)
        self.counters.delivered[talk.dialect + 1] &+= 1
        talk.session?.delivered(message, in: key, into: &self.steps)
        self.runSteps(slot, talk, isPaced: true)
    }

    private mutating func flushFrameBuffer(_ slot: Int) {
        guard !self.frameBuffer.isEmpty else { return }
        self.sendPaced(slot, SharedFrame(self.frameBuffer.bytes))
        self.frameBuffer.removeAll()
    }
}
