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
    mutating func broadcast(_ event: ChatEvent, to feed: FeedID, askedBy context: UInt64?) {
        guard self.audiences.isCurrent(feed), let key = self.audiences[feed].key else { return }
        if self.audiences[feed].isPersonal { return self.deliver(event, to: feed) }
        if case .posted(let message) = event { self.noteForReport(feed, message) }
        self.broadcast(event, to: feed, key, only: nil, askedBy: context)
        if case .posted = event { self.wakeAwaiting(feed) }
    }

    /// - Parameter dialect: nil for all.
    mutating func broadcast(_ event: ChatEvent, to feed: FeedID, _ key: ConversationKey, only dialect: Int?, askedBy context: UInt64?) {
        var rendered = -1
        var isHeld = false
        var shown: [(message: Message, slots: [UInt32])] = []
        for place in self.audiences[feed].groups.indices {
            let group = self.audiences[feed].groups[place]
            if let dialect, group.dialect != dialect { continue }
            if group.dialect != rendered {
                rendered = group.dialect
                isHeld = self.render(event, for: group.dialect, feed, key)
            }
            guard !isHeld else { continue }
            var next = 0
            while next < self.rendering.frames.count {
                let run = self.rendering.run(from: next)
                next = run.upperBound
                self.broadcast(run, of: event, to: group, feed, askedBy: context)
            }
            if group.isPersonal, case .posted(let message) = event { shown.append((message, group.live)) }
        }
        // Behind everything that was rendered: what sessions do may render something else.
        for (message, slots) in shown { self.show(message, in: key, to: slots) }
    }

    /// Sessions that are personal add what is theirs alone.
    private mutating func show(_ message: Message, in key: ConversationKey, to slots: [UInt32]) {
        for slot in slots.map(Int.init) {
            guard case .webSocket(let talk)? = self.connections[slot]?.stage, !talk.hasSentClose else { continue }
            talk.session?.shown(message, in: key, into: &self.steps)
            self.runSteps(slot, talk)
        }
    }

    /// - Returns: whether it has to wait for the numbers of users.
    private mutating func render(_ event: ChatEvent, for dialect: Int, _ feed: FeedID, _ key: ConversationKey) -> Bool {
        if !self.held.isEmpty, self.hold(event, HeldEvents.Place(feed: feed, dialect: dialect)) { return true }
        self.rendering.removeAll()
        self.shared.settings.dialects[dialect].render(event, in: key, into: &self.rendering)
        guard !self.rendering.unnumbered.isEmpty else { return false }
        self.held[HeldEvents.Place(feed: feed, dialect: dialect)] = HeldEvents(events: [event])
        self.lookUpNumbers(for: .held(HeldEvents.Place(feed: feed, dialect: dialect)), in: key.tenant)
        return true
    }

    /// Rendered frames that go to the same listeners: one piece of bytes, that each socket takes at once.
    private mutating func broadcast(
        _ run: Range<Int>, of event: ChatEvent, to group: Audiences.Group, _ feed: FeedID, askedBy context: UInt64?
    ) {
        let audience: ConnectionTable.Audience
        switch self.rendering.frames[run.lowerBound].audience {
        case .everybody: audience = .everybody
        case .others(let id): audience = self.number(of: id, in: feed).map { .others($0) } ?? .everybody
        case .only(let id):
            guard let number = self.number(of: id, in: feed) else { return }
            audience = .only(number)
        case .otherConnections: audience = self.asker(of: context).map { .allBut($0) } ?? .everybody
        }
        self.framing.removeAll()
        for place in run where !(group.isPersonal && self.rendering.frames[place].unlessPersonal) {
            self.frame(place, compress: group.isCompressed)
        }
        guard !self.framing.isEmpty else { return }
        let frame = self.table.add(SharedFrame(self.framing.bytes))
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
            let catchingUp = event.isAmendment ? group.catchingUp.filter { !self.awaitsChanges(Int($0), of: feed) } : group.catchingUp
            left += self.table.broadcast(frame, to: catchingUp, audience, unlessPendingAbove: limit)
        }
        self.counters.droppedEphemeral &+= UInt64(left)
    }

    /// The connection that sent what a question is about.
    private func asker(of context: UInt64?) -> UInt32? {
        guard let context, let question = self.questions[context], case .command = question.kind else { return nil }
        return question.token.slot
    }

    /// The number of a user of the feed's conversation: mostly of one of the two asked for last, who are talking.
    private mutating func number(of user: UserID, in feed: FeedID) -> UInt32? {
        guard let key = self.audiences[feed].key else { return nil }
        let talking = self.audiences[feed].talking
        if self.users.isUser(talking.0, user, of: key.tenant) { return talking.0 }
        if self.users.isUser(talking.1, user, of: key.tenant) { return talking.1 }
        guard let number = self.users.number(of: user, in: key.tenant) else { return nil }
        self.audiences[feed].talking = (number, talking.0)
        return number
    }

    /// Writes one of the rendered texts as a frame behind what is in `framing`.
    mutating func frame(_ place: Int, compress: Bool) {
        self.rendering.text.bytes.withUnsafeBytes {
            self.frame(.text, UnsafeRawBufferPointer(rebasing: $0[self.rendering.range(of: place)]), compress: compress)
        }
    }

    // MARK: Delivered

    private mutating func noteForReport(_ feed: FeedID, _ message: Message) {
        if !self.audiences[feed].isReportDue {
            self.audiences[feed].isReportDue = true
            self.audiences[feed].author = nil
            self.audiences[feed].hasManyAuthors = false
        }
        let author = message.body.author.id
        if let known = self.audiences[feed].author {
            if known != author { self.audiences[feed].hasManyAuthors = true }
        } else {
            self.audiences[feed].author = author
        }
        self.considerReporting(feed)
    }

    /// Has the feed looked at after this turn's writes, if there is something to report.
    mutating func considerReporting(_ feed: FeedID) {
        guard self.audiences.isCurrent(feed), self.audiences[feed].isReportDue, !self.audiences[feed].isReportQueued else { return }
        self.audiences[feed].isReportQueued = true
        self.reportable.append(feed)
    }

    /// After the turn's writes: the first user whose sockets have taken everything stands for all, since a message counts as
    /// delivered when anybody but its author has it; where there are several authors, the first two.
    mutating func reportDelivered() {
        guard !self.reportable.isEmpty else { return }
        for place in self.reportable.indices {
            let feed = self.reportable[place]
            guard self.audiences.isCurrent(feed) else { continue }
            self.audiences[feed].isReportQueued = false
            if self.audiences[feed].isReportDue { self.report(feed) }
        }
        self.reportable.clear()
    }

    private mutating func report(_ feed: FeedID) {
        let shown = self.chat.shownThrough(feed)
        let from = self.audiences[feed].reportedThrough + 1
        guard from <= shown else {
            self.audiences[feed].isReportDue = false
            return
        }
        var author: UInt32?
        if !self.audiences[feed].hasManyAuthors, let only = self.audiences[feed].author { author = self.number(of: only, in: feed) }
        let (first, second, isSomebodyBehind) = self.receivers(feed, but: author)
        let isEnough = (author == nil ? second : first) != UserTable.nobody
        guard isEnough || !isSomebodyBehind else { return }  // Looked at again when a socket has drained.
        self.audiences[feed].reportedThrough = shown
        self.audiences[feed].isReportDue = false
        guard first != UserTable.nobody else { return }
        self.chat.delivered(feed, to: self.users.user(first), from...shown)
        if second != UserTable.nobody { self.chat.delivered(feed, to: self.users.user(second), from...shown) }
    }

    /// Two users, or one beside the author, whose sockets have taken everything, and whether there is one of whom that cannot be said.
    @inline(__always)
    private func receivers(_ feed: FeedID, but author: UInt32?) -> (first: UInt32, second: UInt32, isSomebodyBehind: Bool) {
        var first = UserTable.nobody
        var isSomebodyBehind = false
        for group in self.audiences[feed].groups {
            if !self.held.isEmpty, self.isHeld(feed, group.dialect) {
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
                } else if first == UserTable.nobody {
                    first = hot.user
                    if author != nil { return (first, UserTable.nobody, isSomebodyBehind) }
                } else {
                    return (first, hot.user, isSomebodyBehind)
                }
            }
        }
        return (first, UserTable.nobody, isSomebodyBehind)
    }
}
