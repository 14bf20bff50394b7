import Bytes
import ChatModel
import Cluster
import Configuration
import DialectKit
import EventLoop
import HTTPWire

/// Events on their way to everybody who hears a conversation, and what the owner is told of their arrival.
extension LoopState {
    /// Renders an event once for each dialect that is listening, and gives the one buffer to all its sockets.
    ///
    /// - Parameter context: the question that this answers, if it was asked here.
    mutating func broadcast(_ event: ChatEvent, to feed: FeedID, context: UInt64?) {
        guard self.subscribers.isCurrent(feed), let key = self.subscribers[feed].key else { return }
        if self.subscribers[feed].isPersonal { return self.deliverToInbox(event, to: feed) }
        if case .posted(let message) = event { self.markReportDue(feed, message) }
        self.broadcast(event, to: feed, key, only: nil, context: context)
        if case .posted = event { self.wakeWaitingSubscribers(feed) }
    }

    /// - Parameter dialect: nil for all.
    mutating func broadcast(
        _ event: ChatEvent, to feed: FeedID, _ key: ConversationKey, only dialect: Int?,
        context: UInt64?
    ) {
        var rendered = -1
        var isHeld = false
        var shown: [(message: Message, slots: [UInt32])] = []
        for place in self.subscribers[feed].groups.indices {
            let group = self.subscribers[feed].groups[place]
            if let dialect, group.dialect != dialect { continue }
            if group.dialect != rendered {
                rendered = group.dialect
                isHeld = self.render(event, for: group.dialect, feed, key)
            }
            guard !isHeld else { continue }
            var next = 0
            while next < self.rendering.frames.count {
                let run = self.rendering.combinableFrames(from: next)
                next = run.upperBound
                self.broadcast(run, of: event, to: group, feed, context: context)
            }
            if group.isPersonal, case .posted(let message) = event {
                shown.append((message, group.live))
            }
        }
        // Behind everything that was rendered: what sessions do may render something else.
        for (message, slots) in shown {
            self.deliverToPersonalSessions(message, in: key, to: slots)
        }
    }

    /// Sessions that are personal add what is theirs alone.
    private mutating func deliverToPersonalSessions(
        _ message: Message, in key: ConversationKey, to slots: [UInt32]
    ) {
        for slot in slots.map(Int.init) {
            guard case .webSocket(let talk)? = self.connections[slot]?.phase, !talk.hasSentClose
            else { continue }
            talk.session?.delivered(message, in: key, into: &self.steps)
            self.runSteps(slot, talk)
        }
    }

    /// - Returns: whether it has to wait for the numbers of users.
    private mutating func render(
        _ event: ChatEvent, for dialect: Int, _ feed: FeedID, _ key: ConversationKey
    ) -> Bool {
        if !self.deferredEvents.isEmpty,
            self.deferEvent(event, DeferredEvents.Key(feed: feed, dialect: dialect))
        {
            return true
        }
        self.rendering.removeAll()
        self.shared.settings.dialects[dialect].render(event, in: key, into: &self.rendering)
        guard !self.rendering.usersWithoutNumber.isEmpty else { return false }
        self.deferredEvents[DeferredEvents.Key(feed: feed, dialect: dialect)] = DeferredEvents(
            events: [event])
        self.lookUpNumbers(
            for: .deferredEvents(DeferredEvents.Key(feed: feed, dialect: dialect)), in: key.tenant)
        return true
    }

    /// Rendered frames that go to the same listeners: one piece of bytes, that each socket takes at once.
    private mutating func broadcast(
        _ run: Range<Int>, of event: ChatEvent, to group: SubscriberIndex.Group, _ feed: FeedID,
        context: UInt64?
    ) {
        let audience: ConnectionTable.Recipients
        switch self.rendering.frames[run.lowerBound].audience {
        case .everybody: audience = .all
        case .others(let id):
            audience = self.number(of: id, in: feed).map { .allExceptUser($0) } ?? .all
        case .only(let id):
            guard let number = self.number(of: id, in: feed) else { return }
            audience = .onlyUser(number)
        case .otherConnections:
            audience = self.requesterSlot(of: context).map { .allExceptConnection($0) } ?? .all
        }
        self.frameBuffer.removeAll()
        for place in run where !(group.isPersonal && self.rendering.frames[place].unlessPersonal) {
            self.appendRenderedFrame(place, compress: group.isCompressed)
        }
        guard !self.frameBuffer.isEmpty else { return }
        let frame = self.table.add(SharedFrame(self.frameBuffer.bytes))
        if case .posted = event {
            // Those who catch up get messages from the store.
            self.counters.delivered[group.dialect + 1] &+= UInt64(group.live.count)
            _ = self.table.broadcast(frame, to: group.live, audience)
            return
        }
        let limit = event.isEphemeral ? self.live.limits.ephemeralBytes : Int.max
        var left = self.table.broadcast(frame, to: group.live, audience, unlessPendingAbove: limit)
        if !group.catchingUp.isEmpty {
            // Behind what changed before: those who wait for that find it there.
            let catchingUp =
                event.isAmendment
                ? group.catchingUp.filter { !self.awaitsChanges(Int($0), of: feed) }
                : group.catchingUp
            left += self.table.broadcast(frame, to: catchingUp, audience, unlessPendingAbove: limit)
        }
        self.counters.droppedEphemeral &+= UInt64(left)
    }

    /// The connection that sent what a question is about.
    private func requesterSlot(of context: UInt64?) -> UInt32? {
        guard let context, let question = self.requestContexts[context],
            case .command = question.kind
        else { return nil }
        return question.token.slot
    }

    /// The number of a user of the feed's conversation: mostly of one of the two asked for last, who are talking.
    private mutating func number(of user: UserID, in feed: FeedID) -> UInt32? {
        guard let key = self.subscribers[feed].key else { return nil }
        let talking = self.subscribers[feed].recentUsers
        if self.users.isUser(talking.0, user, of: key.tenant) { return talking.0 }
        if self.users.isUser(talking.1, user, of: key.tenant) { return talking.1 }
        guard let number = self.users.number(of: user, in: key.tenant) else { return nil }
        self.subscribers[feed].recentUsers = (number, talking.0)
        return number
    }

    /// Writes one of the rendered texts as a frame behind what is in `frameBuffer`.
    mutating func appendRenderedFrame(_ place: Int, compress: Bool) {
        self.rendering.text.bytes.withUnsafeBytes {
            self.appendFrame(
                .text,
                UnsafeRawBufferPointer(rebasing: $0[self.rendering.textRange(ofFrame: place)]),
                compress: compress)
        }
    }

    // MARK: Delivered

    private mutating func markReportDue(_ feed: FeedID, _ message: Message) {
        if !self.subscribers[feed].isReportDue {
            self.subscribers[feed].isReportDue = true
            self.subscribers[feed].author = nil
            self.subscribers[feed].hasManyAuthors = false
        }
        let author = message.body.author.id
        if let known = self.subscribers[feed].author {
            if known != author { self.subscribers[feed].hasManyAuthors = true }
        } else {
            self.subscribers[feed].author = author
        }
        self.queueReportIfDue(feed)
    }

    /// Has the feed looked at after this turn's writes, if there is something to report.
    mutating func queueReportIfDue(_ feed: FeedID) {
        guard self.subscribers.isCurrent(feed), self.subscribers[feed].isReportDue,
            !self.subscribers[feed].isReportQueued
        else { return }
        self.subscribers[feed].isReportQueued = true
        self.reportQueue.append(feed)
    }

    /// After the turn's writes: the first user whose sockets have taken everything stands for all, since a message counts as
    /// delivered when anybody but its author has it; where there are several authors, the first two.
    mutating func reportDeliveries() {
        guard !self.reportQueue.isEmpty else { return }
        for place in self.reportQueue.indices {
            let feed = self.reportQueue[place]
            guard self.subscribers.isCurrent(feed) else { continue }
            self.subscribers[feed].isReportQueued = false
            if self.subscribers[feed].isReportDue { self.reportDelivery(feed) }
        }
        self.reportQueue.clear()
    }

    private mutating func reportDelivery(_ feed: FeedID) {
        let shown = self.chat.deliveredThrough(feed)
        let from = self.subscribers[feed].reportedThrough + 1
        guard from <= shown else {
            self.subscribers[feed].isReportDue = false
            return
        }
        var author: UInt32?
        if !self.subscribers[feed].hasManyAuthors, let only = self.subscribers[feed].author {
            author = self.number(of: only, in: feed)
        }
        let (first, second, isSomebodyBehind) = self.recipients(feed, except: author)
        let isEnough = (author == nil ? second : first) != UserTable.noUser
        guard isEnough || !isSomebodyBehind else { return }  // Looked at again when a socket has drained.
        self.subscribers[feed].reportedThrough = shown
        self.subscribers[feed].isReportDue = false
        guard first != UserTable.noUser else { return }
        self.chat.recordDelivery(in: feed, to: self.users.user(first), of: from...shown)
        if second != UserTable.noUser {
            self.chat.recordDelivery(in: feed, to: self.users.user(second), of: from...shown)
        }
    }

    /// Two users, or one beside the author, whose sockets have taken everything, and whether there is one of whom that cannot be said.
    @inline(__always)
    private func recipients(_ feed: FeedID, except author: UInt32?) -> (
        first: UInt32, second: UInt32, isSomebodyBehind: Bool
    ) {
        var first = UserTable.noUser
        var isSomebodyBehind = false
        for group in self.subscribers[feed].groups {
            if !self.deferredEvents.isEmpty, self.hasDeferredEvents(feed, group.dialect) {
                isSomebodyBehind = true
                continue
            }
            var place = 0
            while place < group.live.count {
                let hot = self.table.hot[Int(group.live[place])]
                place &+= 1
                guard hot.user != first, hot.user != author else { continue }
                if !hot.flags.isDisjoint(with: .isBehind) {
                    isSomebodyBehind = true
                } else if first == UserTable.noUser {
                    first = hot.user
                    if author != nil { return (first, UserTable.noUser, isSomebodyBehind) }
                } else {
                    return (first, hot.user, isSomebodyBehind)
                }
            }
        }
        return (first, UserTable.noUser, isSomebodyBehind)
    }
}
