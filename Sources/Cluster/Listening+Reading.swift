import ChatCore
import ChatModel

/// Pages of messages, straight from the store, in step with what the feed shows.
///
/// A page is what the store had when it was read, and the feed tells of changes somewhat later. Handed out as it comes,
/// a page would show a message as deleted and the feed, a moment later, an earlier edit of it; or the other way round.
extension Listening {
    mutating func read(_ read: Feed.PageRead, outbox: inout Outbox) {
        self.reads[outbox.request(read.request)] = .page(read)
    }

    mutating func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket, at now: Moment, outbox: inout Outbox) {
        guard let purpose = self.reads.removeValue(forKey: ticket) else { return }
        switch (purpose, answer) {
        case (.page(var read), .page(let page)):
            read.page = page
            self.paged(read, at: now, outbox: &outbox)
        case (.page(let read), _):
            self.deliveries.append(.pageFailed(context: read.context))
        case (.check(let feed, let items), .page(let page)):
            self.checked(feed, items, page, at: now, outbox: &outbox)
        case (.check, _):
            self.checkAgain(at: now)
        case (.repair(let feed), _):
            guard self.feeds.isCurrent(feed), self.feeds[feed.slot].fetch == ticket else { return }
            // What is older than what the owner has said shows that the store has forgotten; the owner will write it again.
            if case .page(let page) = answer, page.revision >= self.feeds[feed.slot].attachedAt {
                self.mend(feed.slot, with: page, at: now, outbox: &outbox)
                return
            }
            // The store is away: asked again by way of the owner, in a while.
            self.feeds[feed.slot].fetch = 0
            if self.feeds[feed.slot].attachment == 0 { self.repair(feed.slot, isLater: true, at: now, outbox: &outbox) }
        }
    }

    private mutating func paged(_ read: Feed.PageRead, at now: Moment, outbox: inout Outbox) {
        guard let slot = self.feeds.slot(of: read.conversation), self.feeds[slot].state != .opening, let page = read.page,
            page.revision > self.feeds[slot].revision
        else {
            self.handOut(read, at: now, outbox: &outbox)
            return
        }
        var read = read
        read.heldUntil = now.monotonic + Self.pagePatience
        if self.feeds[slot].pages.isEmpty { self.holding.append(self.feeds.name(slot)) }
        self.feeds[slot].pages.append(read)
    }

    /// Hands a page out, unless the feed has shown an edit or a deletion since it was read: then it is read again.
    private mutating func handOut(_ read: Feed.PageRead, at now: Moment, outbox: inout Outbox) {
        guard let page = read.page else { return }
        let slot = self.feeds.slot(of: read.conversation)
        guard let slot, page.revision < self.feeds[slot].amendedAt else {
            if let slot { self.noteShown(page, slot, at: now) }
            self.deliveries.append(.page(context: read.context, page))
            return
        }
        var read = read
        read.attempts += 1
        if read.attempts <= Self.pageAttempts {
            self.read(read, outbox: &outbox)
        } else {
            self.deliveries.append(.pageFailed(context: read.context))
        }
    }

    /// What is in a page and is so young that the store may forget it. Each message once, however many come in and read it.
    private mutating func noteShown(_ page: Page, _ slot: UInt32, at now: Moment) {
        guard self.shown.isKept else { return }
        let noted = min(self.feeds[slot].notedFrom, self.feeds[slot].shownThrough + 1)
        for message in page.messages where message.sequence < noted && self.shown.mayBeForgotten(message, at: now) {
            self.shown.note(.posted(message), message.revision, in: self.feeds.name(slot), at: now)
            self.feeds[slot].notedFrom = min(self.feeds[slot].notedFrom, message.sequence)
        }
    }

    /// The feed has gone on: pages that were ahead of it may not be any more.
    mutating func releasePages(_ slot: UInt32, at now: Moment, outbox: inout Outbox) {
        guard !self.feeds[slot].pages.isEmpty else { return }
        for read in self.feeds[slot].takePages() { self.handOut(read, at: now, outbox: &outbox) }
    }

    /// Pages do not wait for a feed that is in trouble. To be called some times a second.
    mutating func releaseOldPages(at now: Moment, outbox: inout Outbox) {
        let pause = now.monotonic - self.lookedForOldPagesAt
        self.lookedForOldPagesAt = now.monotonic
        guard !self.holding.isEmpty else { return }
        self.holding.removeAll { !self.feeds.isCurrent($0) || self.feeds[$0.slot].pages.isEmpty }
        for feed in self.holding {
            // A loop that stood still has yet to hear what came meanwhile: the feed is in no trouble.
            if pause > Self.pagePatience / 2 { self.feeds[feed.slot].keepPages(for: pause) }
            for read in self.feeds[feed.slot].takePages(at: now.monotonic) { self.handOut(read, at: now, outbox: &outbox) }
        }
    }
}
