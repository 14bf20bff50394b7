import ChatCore
import ChatModel

/// Pages of messages, read directly from the store and delivered in step with the feed.
///
/// A page shows the store at the time of the read, and the feed delivers changes slightly later. If
/// pages were delivered immediately, a client could see a message as deleted and then an earlier
/// edit of it, or the other way round.
extension ConversationSubscriptions {
    mutating func read(_ read: Feed.PageRequest, output: inout LoopOutput) {
        self.reads[output.submit(read.request)] = .page(read)
    }

    mutating func storeAnswered(
        _ answer: StoreAnswer, ticket: StoreTicket, at now: ClockReading, output: inout LoopOutput
    ) {
        guard let purpose = self.reads.removeValue(forKey: ticket) else { return }
        switch (purpose, answer) {
        case (.page(var read), .page(let page)):
            read.page = page
            self.receivePage(read, at: now, output: &output)
        case (.page(let read), _):
            self.deliveries.append(.pageFailed(context: read.context))
        case (.check(let feed, let items), .page(let page)):
            self.compareDelivered(in: feed, items, with: page, at: now, output: &output)
        case (.check, _):
            self.scheduleRecheck(at: now)
        case (.repair(let feed), _):
            guard self.feeds.isCurrent(feed), let repair = self.feeds[feed.slot].repair,
                repair.pendingFetch == ticket
            else { return }
            // A page older than the owner's attach answer shows that the store lost data. The owner
            // will write it again.
            if case .page(let page) = answer, page.revision >= repair.attachedAtRevision {
                self.applyRepair(feed.slot, with: page, at: now, output: &output)
                return
            }
            // The store is unavailable: attach to the owner again after a backoff.
            self.feeds[feed.slot].repair?.pendingFetch = 0
            if repair.pendingAttach == 0 {
                self.repair(feed.slot, afterPause: true, at: now, output: &output)
            }
        }
    }

    private mutating func receivePage(
        _ read: Feed.PageRequest, at now: ClockReading, output: inout LoopOutput
    ) {
        guard let slot = self.feeds.slot(of: read.conversation),
            !self.feeds[slot].state.isOpening, let page = read.page,
            page.revision > self.feeds[slot].watermarks.revision
        else {
            self.deliverPage(read, at: now, output: &output)
            return
        }
        var read = read
        read.deadline = now.monotonic + Self.pageTimeout
        if self.feeds[slot].waitingPages.isEmpty {
            self.feedsWithWaitingPages.append(self.feeds.id(at: slot))
        }
        self.feeds[slot].waitingPages.append(read)
    }

    /// Delivers a page, or reads it again if the feed has delivered an edit or a deletion since the
    /// read.
    private mutating func deliverPage(
        _ read: Feed.PageRequest, at now: ClockReading, output: inout LoopOutput
    ) {
        guard let page = read.page else { return }
        let slot = self.feeds.slot(of: read.conversation)
        guard let slot, page.revision < self.feeds[slot].watermarks.amendedThrough else {
            if let slot { self.logDelivered(page, slot, at: now) }
            self.deliveries.append(.page(context: read.context, page))
            return
        }
        var read = read
        read.attempts += 1
        if read.attempts <= Self.pageAttempts {
            self.read(read, output: &output)
        } else {
            self.deliveries.append(.pageFailed(context: read.context))
        }
    }

    /// Logs the page's messages that are young enough for the store to lose. Each message is logged
    /// once, however many subscribers read it.
    private mutating func logDelivered(_ page: MessagePage, _ slot: UInt32, at now: ClockReading) {
        guard self.deliveryLog.isEnabled else { return }
        let unloggedBefore = self.feeds[slot].watermarks.unloggedBefore
        for message in page.messages
        where message.sequence < unloggedBefore && self.deliveryLog.mayBeLost(message, at: now) {
            self.deliveryLog.record(
                .posted(message), message.revision, in: self.feeds.id(at: slot), at: now)
            self.feeds[slot].watermarks.recordLogged(message.sequence)
        }
    }

    /// Delivers the pages that waited for the feed to catch up with them.
    mutating func releasePages(_ slot: UInt32, at now: ClockReading, output: inout LoopOutput) {
        guard !self.feeds[slot].waitingPages.isEmpty else { return }
        for read in self.feeds[slot].takeReleasablePages() {
            self.deliverPage(read, at: now, output: &output)
        }
    }

    /// Delivers pages that waited too long for a feed under repair. Call it several times a second.
    mutating func releaseExpiredPages(at now: ClockReading, output: inout LoopOutput) {
        let pause = now.monotonic - self.pagesCheckedAt
        self.pagesCheckedAt = now.monotonic
        guard !self.feedsWithWaitingPages.isEmpty else { return }
        self.feedsWithWaitingPages.removeAll {
            !self.feeds.isCurrent($0) || self.feeds[$0.slot].waitingPages.isEmpty
        }
        for feed in self.feedsWithWaitingPages {
            // After a stall, the loop has yet to process pending envelopes, so the feed is not
            // late.
            if pause > Self.pageTimeout / 2 { self.feeds[feed.slot].extendPageDeadlines(by: pause) }
            for read in self.feeds[feed.slot].takeReleasablePages(at: now.monotonic) {
                self.deliverPage(read, at: now, output: &output)
            }
        }
    }
}
