import Bytes
import ChatCore
import ChatModel
import Cluster
import DialectKit
import EventLoop

/// Between sessions and the loop's chat: what they ask, what it answers, and their leaving.
extension LoopState {
    // MARK: What sessions ask

    mutating func enter(
        _ slot: Int, _ talk: WebSocketTalk, _ key: ConversationKey, _ entrance: Entrance, from beginning: Beginning, _ tag: SessionTag
    ) {
        // The feed is known only afterwards, so the question is asked in two steps.
        let context = self.questions.insert(Question(token: self.connections[slot]!.token, kind: .command(tag, nil)))
        let (feed, request) = self.chat.enter(key, entrance, context: context, askedAt: self.askedAt(tag), at: self.now)
        // Not the turn's time: the process may have been stopped since, and the client may name what was sent meanwhile.
        let askedAt = WallClock.now
        self.questions.replace(
            context,
            with: Question(token: self.connections[slot]!.token, kind: .entrance(feed, key, from: beginning, askedAt: askedAt, tag)))
        talk.entrances.append(WebSocketTalk.PendingEntrance(request: request, feed: feed, context: context))
        self.await(slot, talk)
    }

    mutating func ask(_ slot: Int, _ talk: WebSocketTalk, _ command: ChatCommand, in key: ConversationKey, _ tag: SessionTag?) {
        let token = self.connections[slot]!.token
        let feed = talk.memberships.first { $0.conversation == key }?.feed
        let context = tag.map { self.questions.insert(Question(token: token, kind: .command($0, feed))) }
        if context != nil { talk.underWay += 1 }
        self.chat.ask(command, in: key, through: feed, context: context, askedAt: self.askedAt(tag), at: self.now)
    }

    /// When the client asked for what a session asks now.
    private func askedAt(_ tag: SessionTag?) -> Int64 {
        if let tag, tag.since != 0 { return tag.since }
        return self.steps.receivedAt != 0 ? self.steps.receivedAt : self.now.monotonic
    }

    mutating func readPage(_ slot: Int, _ talk: WebSocketTalk, _ key: ConversationKey, _ range: PageRange, _ limit: Int, _ tag: SessionTag)
    {
        let context = self.questions.insert(Question(token: self.connections[slot]!.token, kind: .page(tag, key)))
        self.chat.read(key, range, limit: limit, context: context)
        self.await(slot, talk)
    }

    mutating func fetch(_ slot: Int, _ talk: WebSocketTalk, _ request: StoreRequest, _ tag: SessionTag) {
        let context = self.questions.insert(Question(token: self.connections[slot]!.token, kind: .fetch(tag)))
        self.await(slot, talk)
        self.shared.stores[self.index].submit(request, ticket: context, for: self.sessionsClient)
    }

    mutating func fetched(_ answer: StoreAnswer, for context: UInt64) {
        guard let question = self.questions.remove(context) else { return }
        if case .numbers(let use, let users, let tenant) = question.kind { return self.numbered(answer, use, users, tenant, question) }
        guard let (slot, talk) = self.asker(question.token), case .fetch(let tag) = question.kind else { return }
        var answered: StoreAnswer? = answer
        if case .failed = answer { answered = nil }
        talk.session?.fetched(answered, for: tag, into: &self.steps)
        self.runSteps(slot, talk, isPaced: true)
        guard self.isThere(slot), !talk.hasSentClose else { return }
        self.awaitedCame(slot, talk)
    }

    /// Nothing more is read from the client until what it waits for has come, and has left.
    mutating func await(_ slot: Int, _ talk: WebSocketTalk) {
        if talk.awaited == 0 { talk.awaitedSince = self.tickNumber }
        talk.awaited += 1
        self.pauseReading(slot)
    }

    /// When a frame that is read now was sent: one that lay unread while the connection waited for an answer may have come when that began.
    func receivedAt(_ talk: WebSocketTalk) -> Int64 {
        guard talk.awaitedSince != 0, self.tickNumber <= talk.resumedAt + 1 else { return self.now.monotonic }
        return self.time(ofTick: talk.awaitedSince)
    }

    mutating func awaitedCame(_ slot: Int, _ talk: WebSocketTalk) {
        talk.awaited = max(0, talk.awaited - 1)
        if talk.awaited == 0 { talk.resumedAt = self.tickNumber }
        self.resumeIfFree(slot, talk)
    }

    mutating func resumeIfFree(_ slot: Int, _ talk: WebSocketTalk) {
        guard talk.awaited == 0, let connection = self.connections[slot], connection.backlog.isEmpty else { return }
        self.resumeReading(slot)
    }

    // MARK: What the chat delivers

    @inline(never)  // Inlined, it is given copies.
    mutating func deliver(_ delivery: Delivery) {
        switch delivery {
        case .event(let feed, let event, let context):
            self.broadcast(event, to: feed, askedBy: context)
            if case .left(let member, _) = event { self.showOut(member.user, of: feed) }
            if let context { self.answered(context, event.answer, isShown: true) }
        case .answer(let context, let answer, let isShown):
            self.answered(context, answer, isShown: isShown)
        case .page(let context, let page):
            self.paged(context, page)
        case .pageFailed(let context):
            self.paged(context, nil)
        }
    }

    /// A question's connection, if it is still there.
    mutating func asker(_ token: SocketToken) -> (slot: Int, talk: WebSocketTalk)? {
        let slot = Int(token.slot)
        guard self.isCurrent(token), let talk = self.connections[slot]!.talk, !talk.hasSentClose else { return nil }
        return (slot, talk)
    }

    /// - Parameter isShown: the conversation's feed shows it; but only who listens hears what it shows.
    private mutating func answered(_ context: UInt64, _ answer: ChatAnswer, isShown: Bool) {
        guard let question = self.questions.remove(context) else { return }
        switch question.kind {
        case .command(let tag, let feed):
            guard let (slot, talk) = self.asker(question.token) else { return }
            talk.underWay -= 1
            if case .posted(let message) = answer {
                self.counters.stored[talk.dialect + 1] &+= 1
                if let state = talk.memberships.first(where: { $0.feed == feed })?.catchUp { state.answered.insert(message.sequence) }
            }
            let isShown = feed != nil && (isShown || self.isToCome(answer, feed, talk))
            talk.session?.answered(answer, to: tag, isShown: isShown, into: &self.steps)
            self.runSteps(slot, talk)
        case .entrance(let feed, let key, let beginning, let askedAt, let tag):
            guard let (slot, talk) = self.asker(question.token) else { return }
            talk.entrances.removeAll { $0.context == context }
            // A quiet connection keeps no empty room.
            if talk.entrances.isEmpty { talk.entrances = [] }
            if case .entered(let entered) = answer { self.cameIn(slot, talk, feed, key, entered, from: beginning, askedAt: askedAt) }
            talk.session?.answered(answer, to: tag, isShown: false, into: &self.steps)
            self.runSteps(slot, talk)
            if self.isThere(slot), !talk.hasSentClose { self.awaitedCame(slot, talk) }
        case .upgrade(let pending): self.upgrade(question.token, pending, with: answer)
        case .order(let reply): reply(answer)
        case .page, .catchUp, .fetch, .numbers: break
        }
    }

    /// Who still catches up, and repeats a send that was stored long ago, is shown that message in its place: said at once, it would come
    /// before others that are older, and then once more.
    private func isToCome(_ answer: ChatAnswer, _ feed: FeedID?, _ talk: WebSocketTalk) -> Bool {
        guard case .posted(let message) = answer, let state = talk.memberships.first(where: { $0.feed == feed })?.catchUp else {
            return false
        }
        return message.sequence > max(state.through, state.claim?.through ?? 0)
    }

    private mutating func paged(_ context: UInt64, _ page: Page?) {
        guard let question = self.questions.remove(context), let (slot, talk) = self.asker(question.token) else { return }
        switch question.kind {
        case .page(let tag, let key):
            talk.session?.paged(page, for: tag, into: &self.steps)
            self.runSteps(slot, talk, isPaced: true)
            guard self.isThere(slot), !talk.hasSentClose else { return }
            if let page, let first = page.messages.first, let last = page.messages.last, let user = talk.session?.actor?.person.id,
                let feed = talk.memberships.first(where: { $0.conversation == key })?.feed
            {
                self.chat.delivered(feed, to: user, first.sequence...last.sequence)
            }
            self.awaitedCame(slot, talk)
        case .catchUp(let feed, let look):
            self.catchUp(slot, talk, feed, look, with: page)
        case .command, .entrance, .fetch, .upgrade, .numbers, .order:
            break
        }
    }

    // MARK: Leaving

    /// A connection hears a conversation no more.
    mutating func leave(_ key: ConversationKey, _ slot: Int, _ talk: WebSocketTalk) {
        guard let place = talk.memberships.firstIndex(where: { $0.conversation == key }), let user = talk.session?.actor?.person.id else {
            return
        }
        let membership = talk.memberships.remove(at: place)
        self.removeListener(membership, talk)
        self.chat.leave(membership.feed, user)
        if let state = membership.catchUp { self.endChanges(slot, talk, state) }
    }

    /// Somebody is no member any more: the conversation is for others alone.
    mutating func showOut(_ user: UserID, of feed: FeedID) {
        guard self.audiences.isCurrent(feed), let key = self.audiences[feed].key, let number = self.users.number(of: user, in: key.tenant)
        else { return }
        let listeners = self.audiences[feed].groups.flatMap { $0.live + $0.catchingUp }
        for slot in listeners.map(Int.init) where self.table.hot[slot].user == number {
            guard case .webSocket(let talk)? = self.connections[slot]?.stage, !talk.hasSentClose else { continue }
            self.leave(key, slot, talk)
            talk.session?.left(key, into: &self.steps)
            self.runSteps(slot, talk)
        }
    }

    mutating func leaveAll(_ talk: WebSocketTalk, _ slot: Int) {
        for entrance in talk.entrances {
            self.chat.cancelEntrance(entrance.request)
            // It will not be answered any more.
            _ = self.questions.remove(entrance.context)
        }
        talk.entrances = []
        guard let user = talk.session?.actor?.person.id else { return }
        let memberships = talk.memberships
        talk.memberships = []
        for membership in memberships {
            self.removeListener(membership, talk)
            self.chat.leave(membership.feed, user)
        }
    }

    /// The audience is told, and whoever takes the freed place.
    mutating func removeListener(_ membership: WebSocketTalk.Membership, _ talk: WebSocketTalk) {
        let moved = self.audiences.remove(
            from: membership.feed, dialect: talk.dialect, isCompressed: talk.isCompressed, isPersonal: talk.isPersonal,
            isLive: membership.catchUp == nil, place: membership.place)
        // Perhaps it was the one whom a report waited for.
        self.considerReporting(membership.feed)
        guard let moved, case .webSocket(let other) = self.connections[Int(moved)]?.stage,
            let index = other.memberships.firstIndex(where: { $0.feed == membership.feed })
        else { return }
        other.memberships[index].place = membership.place
    }
}
