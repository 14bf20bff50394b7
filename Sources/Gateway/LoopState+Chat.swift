import Bytes
import ChatCore
import ChatModel
import Cluster
import DialectKit
import EventLoop

/// Between sessions and the loop's chat: what they ask, what it answers, and their leaving.
extension LoopState {
    // MARK: What sessions ask

    mutating func join(
        _ slot: Int, _ talk: WebSocketState, _ key: ConversationKey, _ entrance: JoinRequest,
        from beginning: StartPosition, _ tag: RequestTag
    ) {
        // The feed is known only afterwards, so the question is asked in two steps.
        let context = self.requestContexts.insert(
            RequestContext(token: self.connections[slot]!.token, kind: .command(tag, nil)))
        let (feed, request) = self.chat.subscribe(
            to: key, with: entrance, context: context, requestedAt: self.requestedAt(tag),
            at: self.now)
        // Not the turn's time: the process may have been stopped since, and the client may name what was sent meanwhile.
        let askedAt = WallClock.now
        self.requestContexts.replace(
            context,
            with: RequestContext(
                token: self.connections[slot]!.token,
                kind: .join(feed, key, from: beginning, requestedAt: askedAt, tag)))
        talk.pendingJoins.append(
            WebSocketState.UnansweredJoin(request: request, feed: feed, context: context))
        self.blockReading(slot, talk)
    }

    mutating func submitCommand(
        _ slot: Int, _ talk: WebSocketState, _ command: ChatCommand, in key: ConversationKey,
        _ tag: RequestTag?
    ) {
        let token = self.connections[slot]!.token
        let feed = talk.subscriptions.first { $0.conversation == key }?.feed
        let context = tag.map {
            self.requestContexts.insert(RequestContext(token: token, kind: .command($0, feed)))
        }
        if context != nil { talk.unansweredCommandCount += 1 }
        self.chat.submit(
            command, in: key, through: feed, context: context, requestedAt: self.requestedAt(tag),
            at: self.now)
    }

    /// When the client asked for what a session asks now.
    private func requestedAt(_ tag: RequestTag?) -> Int64 {
        if let tag, tag.requestedAt != 0 { return tag.requestedAt }
        return self.steps.receivedAt != 0 ? self.steps.receivedAt : self.now.monotonic
    }

    mutating func readPage(
        _ slot: Int, _ talk: WebSocketState, _ key: ConversationKey, _ range: PageRange,
        _ limit: Int, _ tag: RequestTag
    ) {
        let context = self.requestContexts.insert(
            RequestContext(token: self.connections[slot]!.token, kind: .page(tag, key)))
        self.chat.readPage(key, range, limit: limit, context: context)
        self.blockReading(slot, talk)
    }

    mutating func fetch(
        _ slot: Int, _ talk: WebSocketState, _ request: StoreRequest, _ tag: RequestTag
    ) {
        let context = self.requestContexts.insert(
            RequestContext(token: self.connections[slot]!.token, kind: .fetch(tag)))
        self.blockReading(slot, talk)
        self.shared.stores[self.index].submit(request, ticket: context, for: self.sessionsClient)
    }

    mutating func handleFetchReply(_ answer: StoreAnswer, for context: UInt64) {
        guard let question = self.requestContexts.remove(context) else { return }
        if case .numbers(let use, let users, let tenant) = question.kind {
            return self.handleNumbersReply(answer, use, users, tenant, question)
        }
        guard let (slot, talk) = self.requester(question.token),
            case .fetch(let tag) = question.kind
        else { return }
        var answered: StoreAnswer? = answer
        if case .failed = answer { answered = nil }
        talk.session?.receivedStoreAnswer(answered, for: tag, into: &self.steps)
        self.runSteps(slot, talk, isPaced: true)
        guard self.isOccupied(slot), !talk.hasSentClose else { return }
        self.unblockReading(slot, talk)
    }

    /// Nothing more is read from the client until what it waits for has come, and has left.
    mutating func blockReading(_ slot: Int, _ talk: WebSocketState) {
        if talk.blockingReplyCount == 0 { talk.blockedSince = self.tickNumber }
        talk.blockingReplyCount += 1
        self.pauseReading(slot)
    }

    /// When a frame that is read now was sent: one that lay unread while the connection waited for an answer may have come when that began.
    func receivedAt(_ talk: WebSocketState) -> Int64 {
        guard talk.blockedSince != 0, self.tickNumber <= talk.unblockedAt + 1 else {
            return self.now.monotonic
        }
        return self.time(ofTick: talk.blockedSince)
    }

    mutating func unblockReading(_ slot: Int, _ talk: WebSocketState) {
        talk.blockingReplyCount = max(0, talk.blockingReplyCount - 1)
        if talk.blockingReplyCount == 0 { talk.unblockedAt = self.tickNumber }
        self.resumeReadingIfUnblocked(slot, talk)
    }

    mutating func resumeReadingIfUnblocked(_ slot: Int, _ talk: WebSocketState) {
        guard talk.blockingReplyCount == 0, let connection = self.connections[slot],
            connection.backlog.isEmpty
        else { return }
        self.resumeReading(slot)
    }

    // MARK: What the chat delivers

    @inline(never)  // Inlined, it is given copies.
    mutating func deliver(_ delivery: Delivery) {
        switch delivery {
        case .event(let feed, let event, let context):
            self.broadcast(event, to: feed, context: context)
            if case .left(let member, _) = event { self.removeMember(member.user, from: feed) }
            if let context { self.handleAnswer(context, event.answer, isDelivered: true) }
        case .answer(let context, let answer, let isShown):
            self.handleAnswer(context, answer, isDelivered: isShown)
        case .page(let context, let page):
            self.handlePageReply(context, page)
        case .pageFailed(let context):
            self.handlePageReply(context, nil)
        }
    }

    /// A question's connection, if it is still there.
    mutating func requester(_ token: SocketToken) -> (slot: Int, talk: WebSocketState)? {
        let slot = Int(token.slot)
        guard self.isCurrent(token), let talk = self.connections[slot]!.webSocket,
            !talk.hasSentClose
        else { return nil }
        return (slot, talk)
    }

    /// - Parameter isShown: the conversation's feed shows it; but only who listens hears what it shows.
    private mutating func handleAnswer(
        _ context: UInt64, _ answer: ChatAnswer, isDelivered isShown: Bool
    ) {
        guard let question = self.requestContexts.remove(context) else { return }
        switch question.kind {
        case .command(let tag, let feed):
            guard let (slot, talk) = self.requester(question.token) else { return }
            talk.unansweredCommandCount -= 1
            if case .posted(let message) = answer {
                self.counters.stored[talk.dialect + 1] &+= 1
                if let state = talk.subscriptions.first(where: { $0.feed == feed })?.catchUp {
                    state.acknowledgedSends.insert(message.sequence)
                }
            }
            let isShown = feed != nil && (isShown || self.willBeDelivered(answer, feed, talk))
            talk.session?.answered(answer, to: tag, isDelivered: isShown, into: &self.steps)
            self.runSteps(slot, talk)
        case .join(let feed, let key, let beginning, let askedAt, let tag):
            guard let (slot, talk) = self.requester(question.token) else { return }
            talk.pendingJoins.removeAll { $0.context == context }
            // A quiet connection keeps no empty room.
            if talk.pendingJoins.isEmpty { talk.pendingJoins = [] }
            if case .joined(let entered) = answer {
                self.subscribe(
                    slot, talk, feed, key, entered, from: beginning, requestedAt: askedAt)
            }
            talk.session?.answered(answer, to: tag, isDelivered: false, into: &self.steps)
            self.runSteps(slot, talk)
            if self.isOccupied(slot), !talk.hasSentClose { self.unblockReading(slot, talk) }
        case .upgrade(let pending): self.upgrade(question.token, pending, with: answer)
        case .operatorCommand(let reply): reply(answer)
        case .page, .catchUp, .fetch, .numbers: break
        }
    }

    /// Who still catches up, and repeats a send that was stored long ago, is shown that message in its place: said at once, it would come
    /// before others that are older, and then once more.
    private func willBeDelivered(_ answer: ChatAnswer, _ feed: FeedID?, _ talk: WebSocketState)
        -> Bool
    {
        guard case .posted(let message) = answer,
            let state = talk.subscriptions.first(where: { $0.feed == feed })?.catchUp
        else {
            return false
        }
        return message.sequence > max(state.sentThrough, state.unverifiedPosition?.through ?? 0)
    }

    private mutating func handlePageReply(_ context: UInt64, _ page: MessagePage?) {
        guard let question = self.requestContexts.remove(context),
            let (slot, talk) = self.requester(question.token)
        else { return }
        switch question.kind {
        case .page(let tag, let key):
            talk.session?.receivedPage(page, for: tag, into: &self.steps)
            self.runSteps(slot, talk, isPaced: true)
            guard self.isOccupied(slot), !talk.hasSentClose else { return }
            if let page, let first = page.messages.first, let last = page.messages.last,
                let user = talk.session?.principal?.person.id,
                let feed = talk.subscriptions.first(where: { $0.conversation == key })?.feed
            {
                self.chat.recordDelivery(in: feed, to: user, of: first.sequence...last.sequence)
            }
            self.unblockReading(slot, talk)
        case .catchUp(let feed, let look):
            self.applyCatchUpPage(slot, talk, feed, look, with: page)
        case .command, .join, .fetch, .upgrade, .numbers, .operatorCommand:
            break
        }
    }

    // MARK: Leaving

    /// A connection hears a conversation no more.
    mutating func leave(_ key: ConversationKey, _ slot: Int, _ talk: WebSocketState) {
        guard let place = talk.subscriptions.firstIndex(where: { $0.conversation == key }),
            let user = talk.session?.principal?.person.id
        else {
            return
        }
        let membership = talk.subscriptions.remove(at: place)
        self.removeSubscriber(membership, talk)
        self.chat.unsubscribe(from: membership.feed, user: user)
        if let state = membership.catchUp { self.finishChanges(slot, talk, state) }
    }

    /// Somebody is no member any more: the conversation is for others alone.
    mutating func removeMember(_ user: UserID, from feed: FeedID) {
        guard self.subscribers.isCurrent(feed), let key = self.subscribers[feed].key,
            let number = self.users.number(of: user, in: key.tenant)
        else { return }
        let listeners = self.subscribers[feed].groups.flatMap { $0.live + $0.catchingUp }
        for slot in listeners.map(Int.init) where self.table.hot[slot].user == number {
            guard case .webSocket(let talk)? = self.connections[slot]?.phase, !talk.hasSentClose
            else { continue }
            self.leave(key, slot, talk)
            talk.session?.leftConversation(key, into: &self.steps)
            self.runSteps(slot, talk)
        }
    }

    mutating func leaveAll(_ talk: WebSocketState, _ slot: Int) {
        for entrance in talk.pendingJoins {
            self.chat.cancelSubscribe(entrance.request)
            // It will not be answered any more.
            _ = self.requestContexts.remove(entrance.context)
        }
        talk.pendingJoins = []
        guard let user = talk.session?.principal?.person.id else { return }
        let memberships = talk.subscriptions
        talk.subscriptions = []
        for membership in memberships {
            self.removeSubscriber(membership, talk)
            self.chat.unsubscribe(from: membership.feed, user: user)
        }
    }

    /// The audience is told, and whoever takes the freed place.
    mutating func removeSubscriber(
        _ membership: WebSocketState.ConversationSubscription, _ talk: WebSocketState
    ) {
        let moved = self.subscribers.remove(
            from: membership.feed, dialect: talk.dialect, isCompressed: talk.isCompressed,
            isPersonal: talk.isPersonal,
            isLive: membership.catchUp == nil, position: membership.position)
        // Perhaps it was the one whom a report waited for.
        self.queueReportIfDue(membership.feed)
        guard let moved, case .webSocket(let other) = self.connections[Int(moved)]?.phase,
            let index = other.subscriptions.firstIndex(where: { $0.feed == membership.feed })
        else { return }
        other.subscriptions[index].position = membership.position
    }
}
