import Bytes
import ChatEngine
import ChatModel
import Configuration
import DialectKit
import EventLoop
import HTTPWire

/// Delivers events to the subscribers of a conversation, and reports deliveries to the owner.
extension ChatBridge {
    /// Renders an event once for each dialect with subscribers, and queues the same buffer for all
    /// its sockets.
    ///
    /// - Parameter context: the context of the request that this event answers, if it came from
    ///   this loop.
    mutating func broadcast(_ event: ChatEvent, to feed: FeedID, context: RequestContextID?) {
        guard self.subscribers.isCurrent(feed), let key = self.subscribers[feed].key else { return }
        if self.subscribers[feed].isPersonalInbox { return self.deliverToInbox(event, to: feed) }
        if case .posted(let message) = event { self.markReportDue(feed, message) }
        self.broadcast(event, to: feed, key, only: nil, context: context)
        if case .posted = event { self.wakeWaitingSubscribers(feed) }
    }

    /// - Parameter dialect: nil for all dialects.
    mutating func broadcast(
        _ event: ChatEvent, to feed: FeedID, _ key: ConversationKey, only dialect: Int?,
        context: RequestContextID?
    ) {
        var rendered = -1
        var isDeferred = false
        var tracked: [(message: Message, slots: [UInt32])] = []
        var recipientCount = 0
        for index in self.subscribers[feed].groups.indices {
            let group = self.subscribers[feed].groups[index]
            if let dialect, group.dialect != dialect { continue }
            if group.dialect != rendered {
                rendered = group.dialect
                isDeferred = self.render(event, for: group.dialect, feed, key)
            }
            guard !isDeferred else { continue }
            recipientCount += group.live.count
            var next = 0
            while next < self.rendering.frames.count {
                let run = self.rendering.combinableFrames(from: next)
                next = run.upperBound
                self.broadcast(run, of: event, to: group, feed, context: context)
            }
            if group.tracksDeliveries, case .posted(let message) = event {
                tracked.append((message, group.live))
            }
        }
        if recipientCount > 0, case .posted(let message) = event {
            self.queues.writings.append(
                MessageWriting(message, in: key, toSockets: recipientCount))
        }
        // After the loop, because a session may render something else.
        for (message, slots) in tracked {
            self.notifyTrackingSessions(message, in: key, to: slots)
        }
    }

    /// Notifies the sessions that track deliveries.
    private mutating func notifyTrackingSessions(
        _ message: Message, in key: ConversationKey, to slots: [UInt32]
    ) {
        for slot in slots {
            guard let (connection, webSocket) = self.pool.openWebSocket(at: slot) else { continue }
            webSocket.session?.delivered(message, in: key, into: &self.steps)
            self.runSteps(connection, webSocket)
        }
    }

    /// - Returns: whether the event is deferred until users' numbers are known.
    private mutating func render(
        _ event: ChatEvent, for dialect: Int, _ feed: FeedID, _ key: ConversationKey
    ) -> Bool {
        if !self.deferredEvents.isEmpty,
            self.deferEvent(event, DeferredEvents.Key(feed: feed, dialect: dialect))
        {
            return true
        }
        self.rendering.removeAll()
        self.context.settings.dialects[dialect].render(event, in: key, into: &self.rendering)
        guard !self.rendering.usersWithoutNumber.isEmpty else { return false }
        self.deferredEvents[DeferredEvents.Key(feed: feed, dialect: dialect)] = DeferredEvents(
            events: [event])
        self.lookUpNumbers(
            for: .deferredEvents(DeferredEvents.Key(feed: feed, dialect: dialect)), in: key.tenant)
        return true
    }

    /// Queues consecutive rendered frames with the same recipients, as one piece of bytes for each
    /// socket.
    private mutating func broadcast(
        _ run: Range<Int>, of event: ChatEvent, to group: SubscriberIndex.Group, _ feed: FeedID,
        context: RequestContextID?
    ) {
        let recipients: ConnectionTable.Recipients
        switch self.rendering.frames[run.lowerBound].audience {
        case .everybody: recipients = .all
        case .others(let id):
            recipients = self.number(of: id, in: feed).map { .allExceptUser($0) } ?? .all
        case .only(let id):
            guard let number = self.number(of: id, in: feed) else { return }
            recipients = .onlyUser(number)
        case .otherConnections:
            recipients = self.requesterSlot(of: context).map { .allExceptConnection($0) } ?? .all
        }
        self.pool.frames.removeAll()
        for index in run
        where !(group.tracksDeliveries && self.rendering.frames[index].unlessTracked) {
            self.appendRenderedFrame(index, compress: group.isCompressed)
        }
        guard !self.pool.frames.isEmpty else { return }
        let frame = self.pool.table.add(self.pool.frames.frame)
        if case .posted = event {
            // Subscribers that catch up get messages from the store.
            self.context.counters.delivered[group.dialect + 1] &+= UInt64(group.live.count)
            _ = self.pool.table.broadcast(frame, to: group.live, recipients)
            return
        }
        let limit = event.isEphemeral ? self.context.live.limits.ephemeralBytes : Int.max
        var skipped = self.pool.table.broadcast(
            frame, to: group.live, recipients, unlessPendingAbove: limit)
        if !group.catchingUp.isEmpty {
            // An amendment must follow the changes that a subscriber has missed. A subscriber that
            // still waits for those will find this amendment among them.
            let catchingUp =
                event.isAmendment
                ? group.catchingUp.filter { !self.awaitsChanges($0, of: feed) }
                : group.catchingUp
            skipped += self.pool.table.broadcast(
                frame, to: catchingUp, recipients, unlessPendingAbove: limit)
        }
        self.context.counters.droppedEphemeral &+= UInt64(skipped)
    }

    /// The slot of the connection that sent the command.
    private func requesterSlot(of context: RequestContextID?) -> UInt32? {
        guard let context, let requestContext = self.requestContexts[context],
            case .command = requestContext.kind
        else { return nil }
        return requestContext.token.slot
    }

    /// The number of a user of the feed's tenant. Most lookups are for one of the two most recent
    /// users, who talk to each other.
    private mutating func number(of user: UserID, in feed: FeedID) -> UInt32? {
        guard let key = self.subscribers[feed].key else { return nil }
        let recent = self.subscribers[feed].recentUsers
        if self.users.isUser(recent.0, user, of: key.tenant) { return recent.0 }
        if self.users.isUser(recent.1, user, of: key.tenant) { return recent.1 }
        guard let number = self.users.number(of: user, in: key.tenant) else { return nil }
        self.subscribers[feed].recentUsers = (number, recent.0)
        return number
    }

    /// Appends one of the rendered texts to the pool's encoder, as a frame.
    mutating func appendRenderedFrame(_ index: Int, compress: Bool) {
        self.rendering.text.bytes.withUnsafeBytes {
            self.pool.frames.append(
                .text,
                UnsafeRawBufferPointer(rebasing: $0[self.rendering.textRange(ofFrame: index)]),
                compress: compress)
        }
    }

    // MARK: Delivery reports

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

    /// Queues the feed for `reportDeliveries` if there is something to report.
    mutating func queueReportIfDue(_ feed: FeedID) {
        guard self.subscribers.isCurrent(feed), self.subscribers[feed].isReportDue,
            !self.subscribers[feed].isReportQueued
        else { return }
        self.subscribers[feed].isReportQueued = true
        self.queues.reports.append(feed)
    }

    /// Reports deliveries to the owners, after the turn's writes.
    ///
    /// A message counts as delivered when one user other than its author has it. Therefore the
    /// first user whose sockets have accepted everything is sufficient. If there are several
    /// authors, the first two users are.
    mutating func reportDeliveries() {
        guard !self.queues.reports.isEmpty else { return }
        for index in self.queues.reports.indices {
            let feed = self.queues.reports[index]
            guard self.subscribers.isCurrent(feed) else { continue }
            self.subscribers[feed].isReportQueued = false
            if self.subscribers[feed].isReportDue { self.reportDelivery(feed) }
        }
        self.queues.reports.clear()
    }

    private mutating func reportDelivery(_ feed: FeedID) {
        let deliveredThrough = self.chat.deliveredThrough(feed)
        let from = self.subscribers[feed].reportedThrough + 1
        guard from <= deliveredThrough else {
            self.subscribers[feed].isReportDue = false
            return
        }
        var author: UInt32?
        if !self.subscribers[feed].hasManyAuthors, let only = self.subscribers[feed].author {
            author = self.number(of: only, in: feed)
        }
        let (first, second, isAnyBehind) = self.recipients(feed, except: author)
        let isEnough = (author == nil ? second : first) != UserTable.noUser
        guard isEnough || !isAnyBehind else { return }  // Checked again when a socket has drained.
        self.subscribers[feed].reportedThrough = deliveredThrough
        self.subscribers[feed].isReportDue = false
        guard first != UserTable.noUser else { return }
        if let key = self.subscribers[feed].key {
            self.chat.recordDelivered(from...deliveredThrough, in: key)
        }
        self.chat.recordDelivery(in: feed, to: self.users.user(first), of: from...deliveredThrough)
        if second != UserTable.noUser {
            self.chat.recordDelivery(
                in: feed, to: self.users.user(second), of: from...deliveredThrough)
        }
    }

    /// Finds two users whose sockets have accepted everything, or one such user other than the
    /// author. Also returns whether another connection has not accepted everything yet.
    @inline(__always)
    private func recipients(_ feed: FeedID, except author: UInt32?) -> (
        first: UInt32, second: UInt32, isAnyBehind: Bool
    ) {
        var first = UserTable.noUser
        var isAnyBehind = false
        for group in self.subscribers[feed].groups {
            if !self.deferredEvents.isEmpty, self.hasDeferredEvents(feed, group.dialect) {
                isAnyBehind = true
                continue
            }
            var index = 0
            while index < group.live.count {
                let hot = self.pool.table.hot[Int(group.live[index])]
                index &+= 1
                guard hot.user != first, hot.user != author else { continue }
                if !hot.flags.isDisjoint(with: .isBehind) {
                    isAnyBehind = true
                } else if first == UserTable.noUser {
                    first = hot.user
                    if author != nil { return (first, UserTable.noUser, isAnyBehind) }
                } else {
                    return (first, hot.user, isAnyBehind)
                }
            }
        }
        return (first, UserTable.noUser, isAnyBehind)
    }
}
