import Bytes
import ChatEngine
import ChatModel
import DialectKit
import EventLoop
import HTTPWire

/// Brings a subscriber from its position to the live feed, without a gap and without a repetition.
///
/// A new subscriber gets all events except messages at once. It gets live messages as soon as the
/// messages that it already had, or that it was sent from the store, reach the feed's last
/// delivered message. That comparison is valid only after all deliveries of the turn: before, the
/// feed counts messages as delivered that its subscribers have not been sent.
extension ChatBridge {
    private var pageLimit: PageLimit {
        PageLimit(messages: 100, bytes: self.steps.limits.pageBytes)
    }
    /// How many messages are searched for one that was not amended: only its revision is from its
    /// posting.
    private static let postingLookback: PageLimit = 20

    mutating func subscribe(
        _ connection: Connection, _ webSocket: WebSocketState, _ feed: FeedID,
        _ key: ConversationKey,
        _ result: JoinResult, from start: StartPosition
    ) {
        let (after, since): (SequenceNumber?, Revision?) =
            switch start {
            case .now: (nil, nil)
            case .after(let sequence, let revision): (sequence, revision)
            case .unread: (result.member?.readCursor ?? 0, nil)
            }
        let position = self.subscribers.insert(
            UInt32(connection.slot), into: feed, key: key, dialect: webSocket.dialect,
            isCompressed: webSocket.isCompressed, tracksDeliveries: webSocket.tracksDeliveries,
            isLive: false,
            reportedThrough: result.head)
        let state = WebSocketState.CatchUp(from: min(after ?? result.head, result.head))
        if let after, case .after = start {
            if after > result.head || since ?? 0 > result.revision {
                state.unverifiedPosition = .init(
                    through: after, revision: since, knownHead: result.head,
                    knownRevision: result.revision)
            }
            // A client without messages has missed no changes, and neither has a client that knows
            // the newest revision.
            let isUpToDate =
                state.unverifiedPosition == nil
                && since ?? 0 >= max(result.revision, self.chat.amendedThrough(feed))
            if after > 0, !isUpToDate {
                state.missedChanges =
                    since.map { .since($0, mayBeTooOld: result.oldest > 1) } ?? .sinceLastMessage
                // Answers to the client's requests follow the missed changes, because an answer may
                // have a higher revision. While the position is unverified, however, requests are
                // read: they let an owner notice that it is behind its store.
                if state.unverifiedPosition == nil {
                    state.blocksReading = true
                    self.blockReading(connection, webSocket)
                }
            }
        }
        if start == .unread {
            self.inboxCursors[UInt32(connection.slot)] = InboxCursor(
                token: connection.token, feed: feed, key: key)
        }
        webSocket.subscriptions.append(
            WebSocketState.ConversationSubscription(
                feed: feed, conversation: key, position: position, catchUp: state))
        self.queues.catchUp.append((connection.token, feed))
    }

    /// Continues the replays of a connection whose socket has accepted what was written.
    mutating func resumeCatchUp(_ connection: Connection, _ webSocket: WebSocketState) {
        guard connection.isConnected else { return }
        for subscription in webSocket.subscriptions where subscription.catchUp != nil {
            self.queues.catchUp.append((connection.token, subscription.feed))
        }
    }

    /// Continues the replays that wait for the feed, after it has delivered a message.
    mutating func wakeWaitingSubscribers(_ feed: FeedID) {
        guard self.subscribers[feed].hasWaitingCatchUp else { return }
        self.subscribers[feed].hasWaitingCatchUp = false
        for index in self.subscribers[feed].groups.indices {
            for slot in self.subscribers[feed].groups[index].catchingUp {
                if let token = self.pool[slot]?.token {
                    self.queues.catchUp.append((token, feed))
                }
            }
        }
    }

    mutating func catchUpAll() {
        guard !self.queues.catchUp.isEmpty else { return }
        let queue = self.queues.catchUp
        self.queues.catchUp.clear()
        for (token, feed) in queue {
            guard let (connection, webSocket) = self.pool.openWebSocket(token) else { continue }
            self.continueCatchUp(connection, webSocket, feed)
        }
    }

    /// Requests the next page, or ends the replay.
    private mutating func continueCatchUp(
        _ connection: Connection, _ webSocket: WebSocketState, _ feed: FeedID
    ) {
        guard let index = webSocket.subscriptions.firstIndex(where: { $0.feed == feed }),
            let state = webSocket.subscriptions[index].catchUp,
            state.feedHeadAtRequest == nil, connection.backlog.isEmpty,
            !self.pool.table.hot[connection.slot].flags.contains(.hasUnpolledPackets),
            let user = webSocket.session?.principal?.person.id
        else { return }
        if state.sentThrough > state.deliveredThrough {
            self.chat.recordDelivery(
                in: feed, to: user, of: state.deliveredThrough + 1...state.sentThrough)
            state.deliveredThrough = state.sentThrough
        }
        let deliveredThrough = self.chat.deliveredThrough(feed)
        if let query = Self.nextQuery(of: state, deliveredThrough) {
            guard self.admitReplay(connection, webSocket) else { return }
            state.feedHeadAtRequest = deliveredThrough
            self.submitQuery(
                query, in: webSocket.subscriptions[index].conversation, feed,
                connection.token)
        } else if state.sentThrough == deliveredThrough {
            if !self.deferredEvents.isEmpty, self.hasDeferredEvents(feed, webSocket.dialect) {
                // The client would get the deferred events twice. Their release wakes this replay.
                self.subscribers[feed].hasWaitingCatchUp = true
                return
            }
            self.goLive(connection, webSocket, index)
        } else if state.sentThrough > deliveredThrough {
            // The feed itself has missed messages: the next ones that it delivers may be ones that
            // this client already has.
            self.subscribers[feed].hasWaitingCatchUp = true
        }
    }

    /// The next query. Nil if nothing remains to be read, or if the feed must deliver more first.
    private static func nextQuery(
        of state: WebSocketState.CatchUp, _ deliveredThrough: SequenceNumber
    )
        -> WebSocketState.CatchUpQuery?
    {
        if state.unverifiedPosition != nil { return .unverified(after: state.sentThrough) }
        switch state.missedChanges {
        case .since(_, mayBeTooOld: true): return .oldest
        case .since(let revision, mayBeTooOld: false):
            return .changes(through: state.sentThrough, since: revision)
        case .sinceLastMessage: return .postedRevision(state.sentThrough)
        case nil:
            return state.sentThrough < deliveredThrough ? .messages(after: state.sentThrough) : nil
        }
    }

    private mutating func submitQuery(
        _ query: WebSocketState.CatchUpQuery, in key: ConversationKey, _ feed: FeedID,
        _ token: SocketToken
    ) {
        let context = self.requestContexts.add(
            RequestContext(token: token, kind: .catchUp(feed, query)))
        switch query {
        case .unverified(let after), .messages(let after):
            self.chat.readPage(key, .after(after), limit: self.pageLimit, context: context)
        case .oldest: self.chat.readPage(key, .after(0), limit: 1, context: context)
        case .postedRevision(let sequence):
            self.chat.readPage(
                key, .before(sequence + 1), limit: Self.postingLookback, context: context)
        case .changes(let through, let since):
            self.chat.readAmendments(
                key, through: through, since: since, limit: self.pageLimit, context: context)
        }
    }

    private mutating func goLive(
        _ connection: Connection, _ webSocket: WebSocketState, _ index: Int
    ) {
        let subscription = webSocket.subscriptions[index]
        // Inserted before it is removed, because the index forgets a feed without subscribers.
        let position = self.subscribers.insert(
            UInt32(connection.slot), into: subscription.feed, key: subscription.conversation,
            dialect: webSocket.dialect, isCompressed: webSocket.isCompressed,
            tracksDeliveries: webSocket.tracksDeliveries, isLive: true,
            reportedThrough: 0)
        self.removeSubscriber(subscription, webSocket)
        webSocket.subscriptions[index].position = position
        webSocket.subscriptions[index].catchUp = nil
    }

    /// Handles the reply to a query; nil if the store could not answer it.
    mutating func applyCatchUpPage(
        _ connection: Connection, _ webSocket: WebSocketState, _ feed: FeedID,
        _ query: WebSocketState.CatchUpQuery,
        with page: MessagePage?
    ) {
        guard let index = webSocket.subscriptions.firstIndex(where: { $0.feed == feed }),
            let state = webSocket.subscriptions[index].catchUp
        else {
            return
        }
        // A page that ends before what the feed had delivered comes from a store that has lost
        // messages. Their owner writes them again.
        guard let page, page.head >= state.feedHeadAtRequest ?? 0 else {
            // Disconnected rather than left with a gap: the client resumes from the same position.
            self.pool.closeWebSocket(
                connection, webSocket, .tryAgainLater,
                "the history cannot be read at the moment; try again")
            return
        }
        let key = webSocket.subscriptions[index].conversation
        if case .messages = query {
            return self.sendCatchUpPage(connection, webSocket, index, with: page)
        }
        state.feedHeadAtRequest = nil
        self.queues.catchUp.append((connection.token, feed))
        switch query {
        case .unverified: self.verifyPosition(connection, webSocket, index, by: page)
        case .oldest:
            guard case .since(let revision, _)? = state.missedChanges else { return }
            // Trimmed messages may have been amended unnoticed. A message that was amended does not
            // show when it was posted, so it proves nothing about the trimmed ones.
            if let oldest = page.messages.first, !oldest.wasAmended,
                revision < oldest.revision, page.oldest > 1
            {
                self.restartFromOldest(connection, webSocket, index, at: page.oldest)
            } else {
                state.missedChanges = .since(revision, mayBeTooOld: false)
            }
        case .postedRevision:
            // If all of them were amended, every retained change is sent: too many changes rather
            // than too few.
            let posted = page.messages.last {
                !$0.wasAmended && $0.sequence <= state.sentThrough
            }
            state.missedChanges = .since(posted?.revision ?? 0, mayBeTooOld: false)
        case .changes:
            self.sendChanges(page.amended, of: key, to: connection, webSocket)
            if let last = page.amended.last, page.hasMore {
                state.missedChanges = .since(last.revision, mayBeTooOld: false)
            } else {
                self.finishChanges(connection, webSocket, state)
            }
        case .messages: break
        }
    }

    /// Ends the replay of changes: the client's older messages are now up to date.
    mutating func finishChanges(
        _ connection: Connection, _ webSocket: WebSocketState, _ state: WebSocketState.CatchUp
    ) {
        state.missedChanges = nil
        guard state.blocksReading else { return }
        state.blocksReading = false
        if connection.isConnected, !webSocket.hasSentClose {
            self.unblockReading(connection, webSocket)
        }
    }

    /// Sends the client the whole retained history, and a notice about that.
    private mutating func restartFromOldest(
        _ connection: Connection, _ webSocket: WebSocketState, _ index: Int,
        at oldest: SequenceNumber
    ) {
        let subscription = webSocket.subscriptions[index]
        guard let state = subscription.catchUp else { return }
        webSocket.subscriptions[index].catchUp = WebSocketState.CatchUp(
            from: oldest - 1, acknowledgedSends: state.acknowledgedSends)
        webSocket.session?.historyTruncated(
            in: subscription.conversation, oldest: oldest, into: &self.steps)
        self.runSteps(connection, webSocket)
        self.finishChanges(connection, webSocket, state)
    }

    /// Handles the page that shows whether the client's position is valid.
    ///
    /// The store decides. An owner that was suspended or disconnected while another node took over
    /// does not know the messages which the store has had for a while, and one with a slow link to
    /// its store may learn of stored messages later than the other nodes. The times of messages
    /// decide nothing, because the clocks of nodes differ.
    private mutating func verifyPosition(
        _ connection: Connection, _ webSocket: WebSocketState, _ index: Int, by page: MessagePage
    ) {
        let subscription = webSocket.subscriptions[index]
        guard let state = subscription.catchUp, let position = state.unverifiedPosition else {
            return
        }
        state.unverifiedPosition = nil
        if position.through > max(position.knownHead, page.head) {
            webSocket.session?.historyReset(
                in: subscription.conversation, head: position.knownHead, into: &self.steps)
            self.runSteps(connection, webSocket)
            self.finishChanges(connection, webSocket, state)
        } else if let revision = position.revision,
            revision > max(position.knownRevision, page.revision)
        {
            self.restartFromOldest(connection, webSocket, index, at: page.oldest)
        } else {
            let next = WebSocketState.CatchUp(
                from: position.through, acknowledgedSends: state.acknowledgedSends)
            next.missedChanges = state.missedChanges
            webSocket.subscriptions[index].catchUp = next
        }
    }

    /// Whether the connection still waits for changes that it has missed.
    func awaitsChanges(_ slot: UInt32, of feed: FeedID) -> Bool {
        guard
            let state = self.pool[slot]?.webSocket?.subscriptions.first(where: {
                $0.feed == feed
            })?.catchUp
        else { return false }
        return state.missedChanges != nil || state.unverifiedPosition != nil
    }

}
