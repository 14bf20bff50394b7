import ChatCore
import ChatModel

/// Pages of messages, straight from the store, in step with what the feed shows.
///
/// A page is what the store had when it was read, and the feed tells of changes somewhat later. Handed out as it comes,
/// a page would show a message as deleted and the feed, a moment later, an earlier edit of it; or the other way round.
extension ConversationSubscriptions {
    mutating func read(_ read: Feed.PageRequest, outbox: inout Outbox) {
        self.reads[outbox.submit(read.request)] = .page(read)
    }

    mutating func storeAnswered(
        _ answer: StoreAnswer, ticket: StoreTicket, at now: ClockReading, outbox: inout Outbox
    ) {
        guard let purpose = self.reads.removeValue(forKey: ticket) else { return }
        switch (purpose, answer) {
        case (.page(var read), .page(let page)):
            read.page = page
            self.receivePage(read, at: now, outbox: &outbox)
        case (.page(let read), _):
            self.deliveries.append(.pageFailed(context: read.context))
        case (.check(let feed, let items), .page(let page)):
            self.compareDelivered(in: feed, items, with: page, at: now, outbox: &outbox)
        case (.check, _):
            self.scheduleRecheck(at: now)
        case (.repair(let feed), _):
            guard self.feeds.isCurrent(feed), self.feeds[feed.slot].pendingFetch == ticket else {
                return
            }
            // What is older than what the owner has said shows that the store has forgotten; the owner will write it again.
            if case .page(let page) = answer,
                page.revision >= self.feeds[feed.slot].attachedAtRevision
            {
                self.applyRepair(feed.slot, with: page, at: now, outbox: &outbox)
                return
            }
            // The store is away: asked again by way of the owner, in a while.
            self.feeds[feed.slot].pendingFetch = 0
            if self.feeds[feed.slot].pendingAttach == 0 {
                self.repair(feed.slot, afterPause: true, at: now, outbox: &outbox)
            }
        }
    }

    private mutating func receivePage(
        _ read: Feed.PageRequest, at now: ClockReading, outbox: inout Outbox
    ) {
        guard let slot = self.feeds.slot(of: read.conversation), self.feeds[slot].state != .opening,
            let page = read.page,
            page.revision > self.feeds[slot].revision
        else {
            self.deliverPage(read, at: now, outbox: &outbox)
            return
        }
        var read = read
        read.deadline = now.monotonic + Self.pageTimeout
        if self.feeds[slot].waitingPages.isEmpty {
            self.feedsWithWaitingPages.append(self.feeds.id(at: slot))
        }
        self.feeds[slot].waitingPages.append(read)
    }

    /// Hands a page out, unless the feed has shown an edit or a deletion since it was read: then it is read again.
    private mutating func deliverPage(
        _ read: Feed.PageRequest, at now: ClockReading, outbox: inout Outbox
    ) {
        guard let page = read.page else { return }
        let slot = self.feeds.slot(of: read.conversation)
        guard let slot, page.revision < self.feeds[slot].amendedThrough else {
            if let slot { self.logDelivered(page, slot, at: now) }
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
    private mutating func logDelivered(_ page: MessagePage, _ slot: UInt32, at now: ClockReading) {
        guard self.deliveryLog.isEnabled else { return }
        let noted = min(self.feeds[slot].loggedFrom, self.feeds[slot].deliveredThrough + 1)
        for message in page.messages
        where message.sequence < noted && self.deliveryLog.mayBeLost(message, at: now) {
            self.deliveryLog.record(
                .posted(message), message.revision, in: self.feeds.id(at: slot), at: now)
            self.feeds[slot].loggedFrom = min(self.feeds[slot].loggedFrom, message.sequence)
        }
    }

    /// The feed has gone on: pages that were ahead of it may not be any more.
    mutating func releasePages(_ slot: UInt32, at now: ClockReading, outbox: inout Outbox) {
        guard !self.feeds[slot].waitingPages.isEmpty else { return }
        for read in self.feeds[slot].takeReleasablePages() {
            self.deliverPage(read, at: now, outbox: &outbox)
        }
    }

    /// Pages do not wait for a feed that is in trouble. To be called some times a second.
    mutating func releaseExpiredPages(at now: ClockReading, outbox: inout Outbox) {
        let pause = now.monotonic - self.pagesCheckedAt
        self.pagesCheckedAt = now.monotonic
        guard !self.feedsWithWaitingPages.isEmpty else { return }
        self.feedsWithWaitingPages.removeAll {
            !self.feeds.isCurrent($0) || self.feeds[$0.slot].waitingPages.isEmpty
        }
        for feed in self.feedsWithWaitingPages {
            // A loop that stood still has yet to hear what came meanwhile: the feed is in no trouble.
            if pause > Self.pageTimeout / 2 { self.feeds[feed.slot].extendPageDeadlines(by: pause) }
            for read in self.feeds[feed.slot].takeReleasablePages(at: now.monotonic) {
                self.deliverPage(read, at: now, outbox: &outbox)
            }
        }
    }
}
