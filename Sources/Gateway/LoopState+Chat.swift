import Bytes
import ChatCore
import ChatModel
import Cluster
import Configuration
import DialectKit
import EventLoop
import HTTPWire
import Identity
import JSON
import Synchronization
import TLS
import Telemetry

/// Between sessions and the loop's chat: entrances, replays, answers, events.
extension LoopState {
    // MARK: What sessions ask

    mutating func enter(
        _ slot: Int, _ talk: WebSocketTalk, _ key: ConversationKey, _ entrance: Entrance, after: SequenceNumber?, _ tag: SessionTag
    ) {
        // The feed is known only afterwards, so the question is asked in two steps.
        let context = self.questions.insert(Question(token: self.connections[slot]!.token, kind: .command(tag)))
        let (feed, request) = self.chat.enter(key, entrance, context: context, at: self.now)
        self.questions.replace(context, with: Question(token: self.connections[slot]!.token, kind: .entrance(feed, key, after: after, tag)))
        talk.entrances.append((request, feed))
        self.await(slot, talk)
    }

    mutating func readPage(_ slot: Int, _ talk: WebSocketTalk, _ key: ConversationKey, _ range: PageRange, _ limit: Int, _ tag: SessionTag) {
        let context = self.questions.insert(Question(token: self.connections[slot]!.token, kind: .page(tag, key)))
        self.chat.read(key, range, limit: limit, context: context)
        self.await(slot, talk)
    }

    /// Nothing more is read from the client until what it waits for has come, and has left.
    private mutating func await(_ slot: Int, _ talk: WebSocketTalk) {
        talk.awaited += 1
        self.pauseReading(slot)
    }

    private mutating func awaitedCame(_ slot: Int, _ talk: WebSocketTalk) {
        talk.awaited = max(0, talk.awaited - 1)
        self.resumeIfFree(slot, talk)
    }

    mutating func resumeIfFree(_ slot: Int, _ talk: WebSocketTalk) {
        guard talk.awaited == 0, let connection = self.connections[slot], connection.backlog.isEmpty else { return }
        self.resumeReading(slot)
    }

    // MARK: What the chat delivers

    mutating func deliver(_ delivery: Delivery) {
        switch delivery {
        case .event(let feed, let event, let context):
            self.broadcast(event, to: feed)
            if let context { self.answered(context, event.answer, isShown: true) }
        case .answer(let context, let answer, let isShown):
            self.answered(context, answer, isShown: isShown)
        case .page(let context, let page):
            self.paged(context, page)
        case .pageFailed(let context):
            self.paged(context, nil)
        }
    }

    /// The question's connection, if it is still there.
    private mutating func asker(_ context: UInt64) -> (question: Question, slot: Int, talk: WebSocketTalk)? {
        guard let question = self.questions.remove(context), self.isCurrent(question.token) else { return nil }
        let slot = Int(question.token.slot)
        guard case .webSocket(let talk) = self.connections[slot]!.stage, !talk.hasSentClose else { return nil }
        return (question, slot, talk)
    }

    private mutating func answered(_ context: UInt64, _ answer: ChatAnswer, isShown: Bool) {
        guard let (question, slot, talk) = self.asker(context) else { return }
        switch question.kind {
        case .command(let tag):
            talk.session?.answered(answer, to: tag, isShown: isShown, into: &self.steps)
            self.runSteps(slot, talk)
        case .entrance(let feed, let key, let after, let tag):
            talk.entrances.removeAll { $0.feed == feed }
            if case .entered(let entered) = answer { self.cameIn(slot, talk, feed, key, entered, after: after) }
            talk.session?.answered(answer, to: tag, isShown: false, into: &self.steps)
            self.runSteps(slot, talk)
            if case .entered(let entered) = answer, let after, self.connections[slot] != nil, !talk.hasSentClose {
                self.beginReplay(slot, talk, feed, key, entered, after: after)
            }
            if self.connections[slot] != nil, !talk.hasSentClose { self.awaitedCame(slot, talk) }
        case .page, .replay:
            break
        }
    }

    private mutating func cameIn(
        _ slot: Int, _ talk: WebSocketTalk, _ feed: FeedID, _ key: ConversationKey, _ entered: Entered, after: SequenceNumber?
    ) {
        let shown = self.chat.shownThrough(feed)
        let isLive = after.map { $0 >= shown } ?? true
        let place = self.audiences.insert(
            UInt32(slot), into: feed, key: key, dialect: talk.dialect, isCompressed: talk.isCompressed, isLive: isLive, shownThrough: shown)
        talk.memberships.append(WebSocketTalk.Membership(feed: feed, conversation: key, place: place, isLive: isLive))
    }

    // MARK: Leaving

    mutating func leaveAll(_ talk: WebSocketTalk, _ slot: Int) {
        for (request, _) in talk.entrances { self.chat.cancelEntrance(request) }
        talk.entrances = []
        talk.replay = nil
        guard let user = talk.session?.actor?.person.id else { return }
        for membership in talk.memberships {
            self.removeListener(membership, talk)
            self.chat.leave(membership.feed, user)
        }
        talk.memberships = []
    }

    private mutating func removeListener(_ membership: WebSocketTalk.Membership, _ talk: WebSocketTalk) {
        let moved = self.audiences.remove(
            from: membership.feed, dialect: talk.dialect, isCompressed: talk.isCompressed, isLive: membership.isLive, place: membership.place)
        guard let moved, case .webSocket(let other) = self.connections[Int(moved)]?.stage,
            let index = other.memberships.firstIndex(where: { $0.feed == membership.feed })
        else { return }
        other.memberships[index].place = membership.place
    }

    // MARK: Replay

    private mutating func beginReplay(
        _ slot: Int, _ talk: WebSocketTalk, _ feed: FeedID, _ key: ConversationKey, _ entered: Entered, after: SequenceNumber
    ) {
        guard after < self.chat.shownThrough(feed) else { return }
        if after + 1 < entered.oldest, after < entered.head {
            talk.session?.historyTruncated(oldest: entered.oldest, into: &self.steps)
            self.runSteps(slot, talk)
        }
        guard self.connections[slot] != nil, !talk.hasSentClose else { return }
        talk.replay = WebSocketTalk.Replay(feed: feed, conversation: key, through: after, taken: after)
        self.continueReplay(slot, talk)
    }

    /// The socket has taken what was written: the next page, or the end of it.
    mutating func continueReplay(_ slot: Int, _ talk: WebSocketTalk) {
        guard let replay = talk.replay, !replay.isReading, let user = talk.session?.actor?.person.id else { return }
        if replay.through > replay.taken {
            self.chat.delivered(replay.feed, to: user, replay.taken + 1...replay.through)
            talk.replay?.taken = replay.through
        }
        guard replay.through < self.chat.shownThrough(replay.feed) else {
            self.goLive(slot, talk, replay.feed)
            return
        }
        talk.replay?.isReading = true
        let context = self.questions.insert(Question(token: self.connections[slot]!.token, kind: .replay(replay.feed)))
        self.chat.read(replay.conversation, .after(replay.through), limit: 100, context: context)
    }

    private mutating func goLive(_ slot: Int, _ talk: WebSocketTalk, _ feed: FeedID) {
        talk.replay = nil
        guard let index = talk.memberships.firstIndex(where: { $0.feed == feed && !$0.isLive }) else { return }
        let membership = talk.memberships[index]
        // In before out: an audience without listeners is forgotten.
        let place = self.audiences.insert(
            UInt32(slot), into: feed, key: membership.conversation, dialect: talk.dialect, isCompressed: talk.isCompressed, isLive: true, shownThrough: 0)
        self.removeListener(membership, talk)
        talk.memberships[index].place = place
        talk.memberships[index].isLive = true
    }

    private mutating func paged(_ context: UInt64, _ page: Page?) {
        guard let (question, slot, talk) = self.asker(context) else { return }
        switch question.kind {
        case .page(let tag, let key):
            talk.session?.paged(page, for: tag, into: &self.steps)
            self.runSteps(slot, talk, isPaced: true)
            if let page, let first = page.messages.first, let last = page.messages.last, let user = talk.session?.actor?.person.id,
                let feed = talk.memberships.first(where: { $0.conversation == key })?.feed
            {
                self.chat.delivered(feed, to: user, first.sequence...last.sequence)
            }
            if self.connections[slot] != nil { self.awaitedCame(slot, talk) }
        case .replay(let feed):
            self.replay(slot, talk, feed, page)
        case .command, .entrance:
            break
        }
    }

    private mutating func replay(_ slot: Int, _ talk: WebSocketTalk, _ feed: FeedID, _ page: Page?) {
        guard let replay = talk.replay, replay.feed == feed else { return }
        talk.replay?.isReading = false
        guard let page else {
            // Better no connection than one with a gap: the client comes back with the same point.
            self.closeWebSocket(slot, talk, .tryAgainLater, "the history cannot be read at the moment; try again")
            return
        }
        // What the store has and the feed has not shown yet comes live.
        let shown = self.chat.shownThrough(feed)
        var isEmpty = true
        for message in page.messages where message.sequence > replay.through && message.sequence <= shown {
            isEmpty = false
            talk.replay?.through = message.sequence
            self.rendering.removeAll()
            self.shared.settings.dialects[talk.dialect].render(.posted(message), in: replay.conversation, into: &self.rendering)
            self.framing.removeAll()
            for place in self.rendering.frames.indices {
                self.rendering.text.bytes.withUnsafeBytes {
                    self.frame(.text, UnsafeRawBufferPointer(rebasing: $0[self.rendering.range(of: place)]), compress: talk.isCompressed)
                }
            }
            if !self.framing.isEmpty { self.sendPaced(slot, SharedFrame(self.framing.bytes)) }
            guard self.connections[slot] != nil else { return }
            self.counters.delivered[talk.dialect + 1] &+= 1
        }
        // Everything between has been dropped meanwhile.
        if isEmpty { talk.replay?.through = shown }
        if self.connections[slot]?.backlog.isEmpty == true { self.continueReplay(slot, talk) }
    }

    // MARK: Broadcast

    /// Renders an event once for each dialect that is listening, and gives the one buffer to all its sockets.
    mutating func broadcast(_ event: ChatEvent, to feed: FeedID) {
        guard Int(feed.slot) < self.audiences.audiences.count, let key = self.audiences[feed].key else { return }
        if case .posted(let message) = event { self.noteForReport(feed, message) }
        var rendered = -1
        for place in self.audiences[feed].groups.indices {
            let group = self.audiences[feed].groups[place]
            if group.dialect != rendered {
                rendered = group.dialect
                self.rendering.removeAll()
                self.shared.settings.dialects[group.dialect].render(event, in: key, into: &self.rendering)
            }
            for frame in self.rendering.frames.indices { self.broadcast(frame, of: event, to: group, in: key) }
        }
    }

    private mutating func broadcast(_ place: Int, of event: ChatEvent, to group: Audiences.Group, in key: ConversationKey) {
        var user = UserTable.nobody
        switch self.rendering.frames[place].audience {
        case .everybody: break
        case .others(let id): user = self.users.number(of: id, in: key.tenant) ?? UserTable.nobody
        case .only(let id):
            guard let number = self.users.number(of: id, in: key.tenant) else { return }
            user = number
        }
        self.framing.removeAll()
        self.rendering.text.bytes.withUnsafeBytes {
            self.frame(.text, UnsafeRawBufferPointer(rebasing: $0[self.rendering.range(of: place)]), compress: group.isCompressed)
        }
        let frame = self.table.add(SharedFrame(self.framing.bytes))
        if case .posted = event {
            self.counters.delivered[group.dialect + 1] &+= UInt64(group.live.count)
            self.table.broadcast(frame, to: group.live)
            return
        }
        for members in [group.live, group.catchingUp] where !members.isEmpty {
            if case .only = self.rendering.frames[place].audience {
                self.table.broadcast(frame, to: members, only: user)
            } else {
                let limit = event.isEphemeral ? self.live.limits.ephemeralBytes : Int.max
                self.counters.droppedEphemeral &+= UInt64(self.table.broadcast(frame, to: members, but: user, unlessPendingAbove: limit))
            }
        }
    }

    // MARK: Delivered

    private mutating func noteForReport(_ feed: FeedID, _ message: Message) {
        if !self.audiences[feed].isReportDue {
            self.audiences[feed].isReportDue = true
            self.audiences[feed].author = nil
            self.audiences[feed].hasManyAuthors = false
            self.reportable.append(feed)
        }
        let author = message.body.author.id
        if let known = self.audiences[feed].author {
            if known != author { self.audiences[feed].hasManyAuthors = true }
        } else {
            self.audiences[feed].author = author
        }
    }

    /// After the turn's writes: the first two users whose sockets have taken everything stand for all, since a
    /// message counts as delivered when anybody but its author has it.
    mutating func reportDelivered() {
        guard !self.reportable.isEmpty else { return }
        let feeds = self.reportable
        self.reportable.removeAll(keepingCapacity: true)
        for feed in feeds where self.audiences[feed].isReportDue { self.report(feed) }
    }

    private mutating func report(_ feed: FeedID) {
        let shown = self.chat.shownThrough(feed)
        let from = self.audiences[feed].reportedThrough + 1
        guard from <= shown else {
            self.audiences[feed].isReportDue = false
            return
        }
        var first = UserTable.nobody
        var second = UserTable.nobody
        var isSomebodyBehind = false
        search: for group in self.audiences[feed].groups {
            for member in group.live {
                let hot = self.table.hot[Int(member)]
                guard hot.user != first else { continue }
                if hot.flags.contains(.hasBacklog) {
                    isSomebodyBehind = true
                } else if first == UserTable.nobody {
                    first = hot.user
                } else {
                    second = hot.user
                    break search
                }
            }
        }
        guard second != UserTable.nobody || !isSomebodyBehind else { return }  // Looked at again when a socket has drained.
        self.audiences[feed].reportedThrough = shown
        self.audiences[feed].isReportDue = false
        guard first != UserTable.nobody else { return }
        let isOwnOnly = second == UserTable.nobody && !self.audiences[feed].hasManyAuthors && self.audiences[feed].author == self.users.user(first)
        guard !isOwnOnly else { return }
        self.chat.delivered(feed, to: self.users.user(first), from...shown)
        if second != UserTable.nobody { self.chat.delivered(feed, to: self.users.user(second), from...shown) }
    }
}

extension ChatEvent {
    /// What it answers to the one who asked for it.
    var answer: ChatAnswer {
        switch self {
        case .posted(let message): .posted(message)
        case .edited(let message), .deleted(let message): .amended(message)
        default: .done
        }
    }
}
