import Bytes
public import ChatCore
public import ChatModel

/// The chat of one loop: the conversations it owns and those it listens to, and its mail with the other loops.
///
/// It is a value: it is told what happened (envelopes, store answers, the time, what sessions ask) and says what is to
/// be done (envelopes, store requests, deliveries). The simulation drives it exactly as the gateway does.
public struct ChatLoop: Sendable {
    public private(set) var id: LoopID
    private let limits: ChatLimits
    private(set) var outbox: Outbox
    private(set) var owner: ShardOwner
    private var subscriptions: ConversationSubscriptions
    /// The highest number of a view that this loop has heard of, be it its own. Where it is higher than the followed one's the node is
    /// to look for it.
    public private(set) var newestViewNumber: Int
    /// Whether the store lets other nodes hear of what it stores in the same step; then what `takeEnvelopesWithWrite` gives goes along with the writes.
    public var publishesWithWrite = false
    private var nextTick: Int64 = 0
    private var nextReport: Int64 = 0

    /// What gathered; take it with `takeEnvelopes` and its like after every `settle`.
    private var envelopes: [Envelope] = []
    /// The emptied array of this loop's last mail to itself.
    private var spareItems: [Envelope.Item] = []

    /// For so many items at once memory is fetched: the more, the less each waits, as long as the processor's cache holds it all.
    static let prefetchBatch = 32
    /// So many changes travel in one offer: the longest texts leave room for them in a parcel.
    private static let changesPerOffer = 128

    public init(id: LoopID, view: View, limits: ChatLimits) {
        self.id = id
        self.limits = limits
        self.outbox = Outbox(id: id)
        self.owner = ShardOwner(id: id, view: view, limits: limits)
        self.newestViewNumber = view.number
        self.subscriptions = ConversationSubscriptions(id: id, retention: limits.retention)
    }

    /// What this loop goes by.
    public var view: View { self.owner.view }

    /// Conversations held in memory, as owner and as listener, and requests that wait for an answer.
    public var counts: (owned: Int, heard: Int, waiting: Int) {
        (
            self.owner.conversationCount, self.subscriptions.feeds.count,
            self.subscriptions.requests.count
        )
    }

    /// What this loop had to do because its store had forgotten something, since it began.
    public var recoveryCounts: RecoveryCounts { self.owner.recoveryCounts }

    // MARK: What sessions ask

    /// Somebody wants to come in; the answer says whether. Until then, and as long as it listens, the feed is kept.
    public mutating func subscribe(
        to key: ConversationKey, with entrance: JoinRequest, context: UInt64,
        requestedAt askedAt: Int64? = nil, at now: ClockReading
    ) -> (feed: FeedID, request: RequestID) {
        self.subscriptions.subscribe(
            to: key, with: entrance, owner: self.view.owner(of: key), context: context,
            requestedAt: askedAt, at: now, outbox: &self.outbox)
    }

    /// Whoever asked to come in is gone before it has seen the answer; should that come all the same, it is for nobody.
    public mutating func cancelSubscribe(_ request: RequestID) {
        self.subscriptions.cancelSubscribe(request, outbox: &self.outbox)
    }

    /// A connection of this user's no longer listens.
    public mutating func unsubscribe(from feed: FeedID, user: UserID) {
        self.subscriptions.unsubscribe(from: feed, user: user, outbox: &self.outbox)
    }

    /// Something that the owner decides. Its answer comes as a delivery; with `context` nil nobody waits for one.
    ///
    /// - Parameters:
    ///   - feed: the asker's own feed of the conversation, where it has one: it spares the search for it.
    ///   - askedAt: the monotonic millisecond at which the client asked; nil for now. The answer comes within 5 s from then on.
    public mutating func submit(
        _ command: consuming ChatCommand, in key: ConversationKey, through feed: FeedID? = nil,
        context: UInt64?, requestedAt askedAt: Int64? = nil,
        at now: ClockReading
    ) {
        // A send that may have to be tried again needs an id to be known by.
        if case .post(let body) = command, body.clientMessageID == nil {
            command = .post(body.withClientMessageID(self.subscriptions.generateClientID()))
        }
        var feed = feed.flatMap { self.subscriptions.feeds.isCurrent($0) ? $0 : nil }
        if feed == nil, let slot = self.subscriptions.feeds.slot(of: key) {
            feed = self.subscriptions.feeds.id(at: slot)
        }
        let owner = feed.map { self.subscriptions.feeds[$0.slot].owner } ?? self.view.owner(of: key)
        let input = ConversationInput.command(command)
        if context == nil, input.isTransient {
            self.subscriptions.send(
                input, in: key, through: feed, owner: owner, 0, isRetry: false, outbox: &self.outbox
            )
        } else {
            self.subscriptions.submit(
                input, in: key, through: feed, owner: owner, context: context,
                timeout: ConversationSubscriptions.timeout(since: askedAt, at: now),
                at: now, outbox: &self.outbox)
        }
    }

    /// A connection that listens to this feed has sent something: what it will ask is being read. Nothing depends on it.
    public func prefetchFeed(_ feed: FeedID) {
        self.subscriptions.feeds.prefetch(feed.slot)
    }

    /// Messages, straight from the store: whoever has come in may read.
    public mutating func readPage(
        _ key: ConversationKey, _ range: PageRange, limit: Int, context: UInt64
    ) {
        let request = StoreRequest.page(key, range, limit: limit)
        self.subscriptions.read(
            .init(context: context, conversation: key, request: request), outbox: &self.outbox)
    }

    /// Edits and deletions of messages up to a number since a revision, as pages too: see `StoreRequest.amended`. Every one that the feed
    /// has shown by then is in the page that is handed out.
    public mutating func readAmendments(
        _ key: ConversationKey, through: SequenceNumber, since: Revision, limit: Int,
        context: UInt64
    ) {
        let request = StoreRequest.amended(key, through: through, since: since, limit: limit)
        self.subscriptions.read(
            .init(context: context, conversation: key, request: request), outbox: &self.outbox)
    }

    /// The newest message that the feed has shown.
    public func deliveredThrough(_ feed: FeedID) -> SequenceNumber {
        self.subscriptions.shownThrough(feed)
    }

    /// The newest edit or deletion that the feed has shown, or may have been shown when it was opened.
    public func amendedThrough(_ feed: FeedID) -> Revision {
        self.subscriptions.feeds.isCurrent(feed)
            ? self.subscriptions.feeds[feed.slot].amendedThrough : 0
    }

    /// A socket of this user's has taken these messages. Not urgent: reports leave together. Where many take the same
    /// message, two users who report it are enough: it is delivered as soon as anybody but its author has it.
    public mutating func recordDelivery(
        in feed: FeedID, to user: UserID, of range: ClosedRange<SequenceNumber>
    ) {
        self.subscriptions.recordDelivery(in: feed, to: user, of: range)
    }

    // MARK: What happens

    /// Who is there and who owns what has changed. A view that is no newer than the followed one is of the past.
    public mutating func follow(_ view: View, at now: ClockReading) {
        guard view.number > self.view.number else { return }
        self.newestViewNumber = max(self.newestViewNumber, view.number)
        // Not all that are not there: whoever has come since a view that is itself of the past may be heard already.
        let gone = Set(self.view.nodes.map(\.incarnation)).subtracting(
            view.nodes.map(\.incarnation))
        self.outbox.removePeers(of: gone)
        self.owner.follow(view, gone: gone, at: now, outbox: &self.outbox)
        self.subscriptions.follow(view, at: now, outbox: &self.outbox)
    }

    /// This node was taken for dead and goes on as another: what it owned is others', who listens here stays and attaches again.
    ///
    /// Writes that the store has not answered are stored or refused, and nobody here hears which: whoever asked asks again.
    ///
    /// - Parameter view: one that has the new incarnation. It may have the old one again, where the store has forgotten that it was
    ///   taken for dead: that one's lease ends.
    public mutating func rejoin(as id: LoopID, view: View, at now: ClockReading) {
        precondition(view.node(id.incarnation) != nil, "\(self.id) cannot be \(id) in this view")
        self.id = id
        // What a tick of this turn has made, too: nobody takes mail of the last one, and no parcel has mail of both.
        self.envelopes = []
        self.newestViewNumber = max(self.newestViewNumber, view.number)
        self.outbox.rejoin(as: id)
        self.owner.retainAll(at: now)
        self.owner = ShardOwner(id: id, view: view, limits: self.limits, replacing: self.owner)
        self.subscriptions.rejoin(as: id, view: view, at: now, outbox: &self.outbox)
    }

    /// Mail to an incarnation of before is for nobody, and mail from a node that is gone is of no use: that may not know it yet.
    public mutating func receive(_ envelope: Envelope, at now: ClockReading) {
        guard envelope.to == self.id, !self.isFromRemovedNode(envelope) else { return }
        self.newestViewNumber = max(self.newestViewNumber, envelope.view)
        var items = envelope.items
        switch self.outbox.recordArrival(envelope) {
        case .duplicate:
            // Or late: then its gap was seen and mended, perhaps before what the store carried was stored. Revisions tell the two apart.
            items.removeAll { !$0.isDurableEvent }
        case .gap:
            self.suspectLoss(from: envelope.from, at: now)
        case .next:
            break
        }
        self.dispatch(&items, from: envelope.from, at: now)
    }

    /// Whoever is not in the followed view has either come since, and then goes by a later one, or is gone.
    private func isFromRemovedNode(_ envelope: Envelope) -> Bool {
        envelope.from.incarnation != self.id.incarnation && envelope.view <= self.view.number
            && self.view.node(envelope.from.incarnation) == nil
    }

    /// What other nodes have sent may not have come: everything between them and this loop is made sure of again, and what waits for
    /// their answers is asked again.
    public mutating func messagesMayBeLost(at now: ClockReading) {
        for node in self.view.nodes where node.incarnation != self.id.incarnation {
            for loop in 0..<node.loops {
                self.suspectLoss(
                    from: LoopID(incarnation: node.incarnation, loop: UInt16(loop)), at: now)
            }
        }
        self.subscriptions.resendAll(outside: self.id.incarnation, at: now, outbox: &self.outbox)
    }

    /// What was lost between this loop and another is not known: everything between the two is made sure of again.
    private mutating func suspectLoss(from loop: LoopID, at now: ClockReading) {
        self.subscriptions.repairAll(ownedBy: loop, at: now, outbox: &self.outbox)
        self.owner.suspect(loop, at: now)
        self.outbox.send(.resynchronize, to: loop)
    }

    /// This loop has stood still for so long that others may have taken over what it owns: neither that nor what it knows of the store's side
    /// is to be believed, or whoever comes in now would be told of a time that is over.
    public mutating func resumedAfterStall(at now: ClockReading) {
        self.owner.abandonAll(at: now, outbox: &self.outbox)
    }

    /// The connection to the store is another than before, and what it leads to may have forgotten what it had said to have.
    public mutating func storeMayHaveLostData(at now: ClockReading) {
        self.owner.compareWithStore(at: now, outbox: &self.outbox)
        self.subscriptions.storeMayHaveLostData(at: now, outbox: &self.outbox)
    }

    /// Tells the owners of these conversations what their store may have forgotten.
    private mutating func offerRetained(
        _ keepsakes: [ShardOwner.RetainedHistory], at now: ClockReading
    ) {
        for keepsake in keepsakes {
            let owner = self.view.owner(of: keepsake.key)
            for part in stride(from: 0, to: keepsake.changes.count, by: Self.changesPerOffer) {
                let changes = Array(
                    keepsake.changes[
                        part..<min(part + Self.changesPerOffer, keepsake.changes.count)])
                self.subscriptions.submit(
                    .offerRetained(changes), in: keepsake.key, through: nil, owner: owner,
                    context: nil, timeout: ConversationSubscriptions.offerTimeout,
                    at: now, outbox: &self.outbox)
            }
        }
    }

    public mutating func storeAnswered(
        _ answer: StoreAnswer, ticket: StoreTicket, at now: ClockReading
    ) {
        if case .outdated(let view) = answer {
            self.newestViewNumber = max(self.newestViewNumber, view)
        }
        if !self.owner.storeAnswered(answer, ticket: ticket, at: now, outbox: &self.outbox) {
            self.subscriptions.storeAnswered(answer, ticket: ticket, at: now, outbox: &self.outbox)
        }
    }

    /// To be called some times a second.
    public mutating func tick(at now: ClockReading) {
        self.owner.tick(at: now, outbox: &self.outbox)
        self.subscriptions.retryDue(at: now, outbox: &self.outbox)
        self.subscriptions.releaseExpiredPages(at: now, outbox: &self.outbox)
        self.subscriptions.checkIfDue(at: now, outbox: &self.outbox)
        if now.monotonic >= self.nextReport {
            self.nextReport = now.monotonic + 250
            self.subscriptions.flushDueReports(outbox: &self.outbox)
        }
        if now.monotonic >= self.nextTick {
            self.nextTick = now.monotonic + 1000
            self.outbox.tick(view: self.owner.view.number, into: &self.envelopes)
        }
    }

    /// Does what has gathered: this loop's own mail, the batch for the store, envelopes. To be called at the end of a
    /// turn for as long as it `hasWork`; what comes of it is taken after every call.
    public mutating func finishTurn(at now: ClockReading) {
        if self.owner.unofferedCount > 0 { self.offerRetained(self.owner.takeUnoffered(), at: now) }
        while !self.outbox.local.isEmpty {
            var items: [Envelope.Item] = []
            swap(&items, &self.spareItems)
            self.outbox.swapLocal(with: &items)
            self.dispatch(&items, from: self.id, at: now)
            // Room for a burst is given back after it.
            items.clear()
            swap(&items, &self.spareItems)
        }
        self.owner.flush(publishesWithWrite: self.publishesWithWrite, at: now, outbox: &self.outbox)
        self.outbox.seal(view: self.owner.view.number, into: &self.envelopes)
    }

    /// Whether something has gathered that `settle` or whoever takes the store's requests has to do.
    public var hasWork: Bool { self.outbox.hasWork || self.owner.hasWork }

    private mutating func dispatch(
        _ items: inout [Envelope.Item], from loop: LoopID, at now: ClockReading
    ) {
        for place in items.indices {
            if place % Self.prefetchBatch == 0, items.count > 1 {
                self.prefetch(items, from: place)
            }
            // Moved out: a copy would count a reference for every text in it.
            self.dispatch(exchange(&items[place], with: .resynchronize), from: loop, at: now)
        }
    }

    /// Fetches what the next items will need, for all of them at once. In two rounds, for the second's places are known by the first.
    private mutating func prefetch(_ items: [Envelope.Item], from first: Int) {
        // Lent by the buffer; the array would hand out copies.
        items.withUnsafeBufferPointer { items in
            let next = first..<min(first + Self.prefetchBatch, items.count)
            for place in next {
                self.owner.prefetch(items[place].ownerSlot)
                self.subscriptions.feeds.prefetch(items[place].feedSlot)
            }
            for place in next { self.owner.prefetchConversation(items[place].ownerSlot) }
        }
    }

    private mutating func dispatch(
        _ item: consuming Envelope.Item, from loop: LoopID, at now: ClockReading
    ) {
        switch consume item {
        case .input(let input):
            self.owner.handle(input, from: loop, at: now, outbox: &self.outbox)
        case .answer(let request, let answer, let place):
            self.subscriptions.receiveAnswer(
                to: request, answer, slot: place, at: now, outbox: &self.outbox)
        case .notOwner(let request):
            self.subscriptions.handleNotOwner(request, at: now, outbox: &self.outbox)
        case .event(let news):
            self.subscriptions.receive(news, from: loop, at: now, outbox: &self.outbox)
        case .reattach(let key):
            self.subscriptions.repair(key, at: now, outbox: &self.outbox)
        case .resynchronize:
            self.subscriptions.repairAll(ownedBy: loop, at: now, outbox: &self.outbox)
        case .recoveryQuery(let key):
            self.offerRetained(self.owner.retained(of: key), at: now)
        }
    }

    // MARK: What is to be done

    public mutating func takeEnvelopes() -> [Envelope] {
        defer { self.envelopes = [] }
        return self.envelopes
    }

    /// Replaces what is in `requests` by what the store is to be asked. To be called with the same array every time, so that nothing is
    /// allocated.
    public mutating func takeRequests(
        into requests: inout [(request: StoreRequest, ticket: StoreTicket)]
    ) {
        self.outbox.takeRequests(into: &requests)
    }

    /// What the write among the requests carries, if all of it is stored: for loops of other nodes. Where `publishesWithWrite` is off, nothing.
    ///
    /// Envelopes that were taken at the same time are to leave before it.
    public mutating func takeEnvelopesWithWrite() -> [Envelope] {
        self.outbox.takeEnvelopesWithWrite()
    }

    /// Replaces what is in `deliveries` by what there is for listeners, up to the first message behind an entrance or a page: while there
    /// are `hasDeliveries`, there is more. To be called with the same array every time, so that nothing is allocated.
    public mutating func takeDeliveries(into deliveries: inout [Delivery]) {
        self.subscriptions.takeDeliveries(into: &deliveries)
    }

    /// Whether there is anything to take for listeners.
    public var hasDeliveries: Bool { !self.subscriptions.deliveries.isEmpty }
}
