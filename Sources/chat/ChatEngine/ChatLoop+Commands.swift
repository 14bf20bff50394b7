public import ChatCore
public import ChatModel
import Cluster

/// Commands and reads of sessions.
extension ChatLoop {
    /// Subscribes a connection to a conversation. The answer says whether the owner accepts it. The
    /// feed stays open until the refusal arrives or the connection unsubscribes.
    public mutating func subscribe(
        to key: ConversationKey, with joinRequest: JoinRequest, context: RequestContextID,
        requestedAt: Int64? = nil, at now: ClockReading
    ) -> (feed: FeedID, request: RequestID) {
        self.subscriptions.subscribe(
            to: key, with: joinRequest, owner: self.view.owner(of: key), context: context,
            requestedAt: requestedAt, at: now, output: &self.output)
    }

    /// Cancels a subscribe whose connection closed before it saw the answer. A later answer is
    /// discarded.
    public mutating func cancelSubscribe(_ request: RequestID) {
        self.subscriptions.cancelSubscribe(request, output: &self.output)
    }

    /// Unsubscribes one connection of this user.
    public mutating func unsubscribe(from feed: FeedID, user: UserID) {
        self.subscriptions.unsubscribe(from: feed, user: user, output: &self.output)
    }

    /// Submits a command to the conversation's owner. The answer arrives as a delivery, or not at
    /// all if `context` is nil.
    ///
    /// - Parameters:
    ///   - feed: the requester's feed of the conversation, if it has one; it saves a lookup.
    ///   - requestedAt: the monotonic millisecond at which the client sent the request; nil means
    ///     now. The answer arrives within 5 s of this time.
    public mutating func submit(
        _ command: consuming ChatCommand, in key: ConversationKey, through feed: FeedID? = nil,
        context: RequestContextID?, requestedAt: Int64? = nil,
        at now: ClockReading
    ) {
        var author: UInt64?
        let input: ConversationInput
        switch consume command {
        case .post(var body):
            author = MessageTrace.hash(of: body.author.id)
            // A retried send needs an id, so that the owner can recognise it.
            if body.clientMessageID == nil {
                body = body.withClientMessageID(self.subscriptions.generateClientID())
            }
            input = .command(.post(body))
        case let other:
            input = .command(other)
        }
        var feed = feed.flatMap { self.subscriptions.feeds.isCurrent($0) ? $0 : nil }
        if feed == nil, let slot = self.subscriptions.feeds.slot(of: key) {
            feed = self.subscriptions.feeds.id(at: slot)
        }
        let owner = feed.map { self.subscriptions.feeds[$0.slot].owner } ?? self.view.owner(of: key)
        if context == nil, input.isTransient {
            self.subscriptions.send(
                input, in: key, through: feed, owner: owner, 0, isRetry: false, output: &self.output
            )
        } else {
            let request = self.subscriptions.submit(
                input, in: key, through: feed, owner: owner, context: context,
                acceptedAt: author == nil ? 0 : self.output.trace.wallMicroseconds,
                timeout: ConversationSubscriptions.timeout(since: requestedAt, at: now),
                at: now, output: &self.output)
            if let author {
                self.output.trace.record(.accepted, in: key.hash, request: request, peer: author)
            }
        }
    }

    /// Prefetches a feed while a frame of one of its subscribers is being parsed. Correctness does
    /// not depend on it.
    public func prefetchFeed(_ feed: FeedID) {
        self.subscriptions.feeds.prefetch(feed.slot)
    }

    /// Reads messages directly from the store. Every subscriber may read.
    public mutating func readPage(
        _ key: ConversationKey, _ range: PageRange, limit: PageLimit,
        context: RequestContextID
    ) {
        let request = StoreRequest.page(key, range, limit: limit)
        self.subscriptions.read(
            .init(context: context, conversation: key, request: request), output: &self.output)
    }

    /// Reads messages of a thread, as `readPage`.
    public mutating func readThread(
        _ key: ConversationKey, root: SequenceNumber, _ range: PageRange,
        limit: PageLimit,
        context: RequestContextID
    ) {
        let request = StoreRequest.thread(key, root: root, range, limit: limit)
        self.subscriptions.read(
            .init(context: context, conversation: key, request: request), output: &self.output)
    }

    /// Reads, as pages, the edits and deletions of messages up to `through` that happened after a
    /// revision; see `StoreRequest.amended`. The delivered page contains every one that the feed
    /// has delivered by then.
    public mutating func readAmendments(
        _ key: ConversationKey, through: SequenceNumber, since: Revision,
        limit: PageLimit, context: RequestContextID
    ) {
        let request = StoreRequest.amended(key, through: through, since: since, limit: limit)
        self.subscriptions.read(
            .init(context: context, conversation: key, request: request), output: &self.output)
    }

    /// The newest message that the feed has delivered.
    public func deliveredThrough(_ feed: FeedID) -> SequenceNumber {
        self.subscriptions.deliveredThrough(feed)
    }

    /// The newest edit or deletion that the feed has delivered, or that was already stored when the
    /// feed opened.
    public func amendedThrough(_ feed: FeedID) -> Revision {
        self.subscriptions.feeds.isCurrent(feed)
            ? self.subscriptions.feeds[feed.slot].watermarks.amendedThrough : 0
    }

    /// Records that a socket of this user accepted these messages. The report is not urgent;
    /// reports are sent in batches. Two reporting users per message suffice, because a message
    /// counts as delivered as soon as anyone but its author has it.
    public mutating func recordDelivery(
        in feed: FeedID, to user: UserID, of range: ClosedRange<SequenceNumber>
    ) {
        self.subscriptions.recordDelivery(in: feed, to: user, of: range)
    }
}
