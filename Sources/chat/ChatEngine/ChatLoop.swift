import Bytes
public import ChatCore
public import ChatModel
public import Cluster

/// The chat engine of one event loop: the conversations that it owns, the conversations that it
/// subscribes to, and its envelopes to and from other loops.
///
/// It is a value. It receives events (envelopes, store answers, clock ticks, commands of sessions)
/// and produces envelopes, store requests and deliveries. The simulation drives it exactly as the
/// gateway does.
public struct ChatLoop: Sendable {
    public private(set) var id: LoopID
    var output: LoopOutput
    var owner: ShardOwner
    var subscriptions: ConversationSubscriptions
    /// The highest view number that this loop has seen, in envelopes, store answers or its own
    /// views. If it is higher than the number of the followed view, the node must look for that
    /// view.
    public private(set) var newestViewNumber: Int
    /// Whether the store publishes to other nodes in the same step that stores a write. If so, the
    /// result of `takeEnvelopesWithWrite` travels with the writes.
    public var publishesWithWrite = false
    private var nextTick: Int64 = 0
    private var nextReport: Int64 = 0

    /// Envelopes that are ready to leave. Take them, and the other outputs, after every
    /// `finishTurn`.
    private var envelopes: [Envelope] = []
    /// An emptied array, kept from the last round of items that this loop sent to itself.
    private var spareItems: [Envelope.Item] = []

    /// The number of items whose memory is prefetched together. Larger batches hide more latency,
    /// as long as the data fits in the processor's cache.
    static let prefetchBatch = 32
    /// The number of changes in one offer. With this number, even changes with texts of the maximum
    /// length fit in one packet.
    private static let changesPerOffer = 128

    public init(id: LoopID, view: View, limits: Limits) {
        self.id = id
        self.output = LoopOutput(id: id, traceRecords: limits.traceSteps)
        self.owner = ShardOwner(id: id, view: view, limits: limits)
        self.newestViewNumber = view.number
        self.subscriptions = ConversationSubscriptions(id: id, retention: limits.retention)
    }

    /// The view that this loop follows.
    public var view: View { self.owner.view }

    /// Conversations in memory, as owner and as subscriber, and requests that have no answer yet.
    public var counts: (owned: Int, subscribed: Int, pending: Int) {
        (
            self.owner.conversationCount, self.subscriptions.feeds.count,
            self.subscriptions.requests.count
        )
    }

    /// The newest edit, deletion, reaction or pin that this loop has delivered to subscribers of a
    /// conversation; 0 if it has none.
    public func amendedThrough(in conversation: ConversationKey) -> Revision {
        let feeds = self.subscriptions.feeds
        return feeds.slot(of: conversation).map { feeds[$0].watermarks.amendedThrough } ?? 0
    }

    /// The repairs of this loop since its start, after its store had lost data.
    public var recoveryCounts: RecoveryCounts { self.owner.recoveryCounts }

    // MARK: Events

    /// Follows a newer view. A view that is not newer than the followed one is ignored.
    public mutating func follow(_ view: View, at now: ClockReading) {
        guard view.number > self.view.number else { return }
        self.newestViewNumber = max(self.newestViewNumber, view.number)
        // A node that joined after a view that is itself outdated may already be sending envelopes.
        let removedNodes = self.output.nodesMissing(in: view).union(
            Set(self.view.nodes.map(\.incarnation)).subtracting(view.nodes.map(\.incarnation)))
        self.output.removePeers(of: removedNodes)
        self.owner.follow(view, removedNodes: removedNodes, at: now, output: &self.output)
        self.subscriptions.follow(view, at: now, output: &self.output)
    }

    /// Replaces the limits, except those that are fixed at the start.
    public mutating func follow(_ limits: Limits) {
        self.owner.follow(limits)
    }

    /// Continues under a new incarnation after the other nodes evicted this node. Other nodes own
    /// its conversations now; its subscribers stay and attach again.
    ///
    /// The requests whose writes have no answer yet are retried. If the answer says that a write is
    /// stored, this loop retains it for the next owner.
    ///
    /// - Parameter view: contains the new incarnation. It may also contain the old one, if the
    ///   store lost the eviction; then the old incarnation's lease expires.
    public mutating func rejoin(as id: LoopID, view: View, at now: ClockReading) {
        precondition(view.node(id.incarnation) != nil, "\(self.id) cannot be \(id) in this view")
        self.id = id
        // Discards what a tick of this turn produced as well. No loop accepts envelopes of the old
        // incarnation, and a packet has only one sender.
        self.envelopes = []
        self.newestViewNumber = max(self.newestViewNumber, view.number)
        self.output.rejoin(as: id)
        self.owner.retainAll(at: now)
        self.owner = ShardOwner(id: id, view: view, replacing: self.owner)
        self.subscriptions.rejoin(as: id, view: view, at: now, output: &self.output)
    }

    /// Receives an envelope. Envelopes for an earlier incarnation, and envelopes from removed
    /// nodes, are dropped. A removed node may not know yet that it was removed.
    public mutating func receive(_ envelope: Envelope, at now: ClockReading) {
        guard envelope.to == self.id, !self.isFromRemovedNode(envelope) else { return }
        self.newestViewNumber = max(self.newestViewNumber, envelope.view)
        var items = envelope.items
        switch self.output.recordArrival(envelope) {
        case .duplicate:
            // It may also be late: its gap was noticed and repaired, perhaps before the store
            // applied the write that carried it. For durable events the revision tells a duplicate
            // from a late one.
            items.removeAll { !$0.isDurableEvent }
        case .gap:
            self.suspectLoss(from: envelope.from, at: now)
        case .next:
            break
        }
        self.dispatch(&items, from: envelope.from, at: now)
    }

    /// Whether the sender was removed. A sender that is missing from the followed view either
    /// joined later, and then follows a later view, or was removed.
    private func isFromRemovedNode(_ envelope: Envelope) -> Bool {
        envelope.from.incarnation != self.id.incarnation && envelope.view <= self.view.number
            && self.view.node(envelope.from.incarnation) == nil
    }

    /// Repairs everything that depends on other nodes' envelopes, because some may be lost, and
    /// retries the requests that wait for their answers.
    public mutating func messagesMayBeLost(at now: ClockReading) {
        for node in self.view.nodes where node.incarnation != self.id.incarnation {
            for loop in 0..<node.loops {
                self.suspectLoss(
                    from: LoopID(incarnation: node.incarnation, loop: UInt16(loop)), at: now)
            }
        }
        self.subscriptions.resendAll(outside: self.id.incarnation, at: now, output: &self.output)
    }

    /// Attaches again in both directions between this loop and another one, because what was lost
    /// between them is unknown.
    private mutating func suspectLoss(from loop: LoopID, at now: ClockReading) {
        self.subscriptions.repairAll(ownedBy: loop, at: now, output: &self.output)
        self.owner.suspect(loop, at: now)
        self.output.send(.resynchronize, to: loop)
    }

    /// Discards everything that this loop knew of the store. It was stalled for so long that other
    /// nodes may own its shards now, and new subscribers must not receive an outdated state.
    public mutating func resumedAfterStall(at now: ClockReading) {
        self.owner.abandonAll(at: now, output: &self.output)
    }

    /// Compares with the store after a reconnect, because the new connection may lead to a store
    /// that lost acknowledged writes.
    public mutating func storeMayHaveLostData(at now: ClockReading) {
        self.owner.compareWithStore(at: now, output: &self.output)
        self.subscriptions.storeMayHaveLostData(at: now, output: &self.output)
    }

    /// Offers these histories to the owners of their conversations, whose store may have lost them.
    private mutating func offerRetained(
        _ histories: [ShardOwner.RetainedHistory], at now: ClockReading
    ) {
        for history in histories {
            let owner = self.view.owner(of: history.key)
            for start in stride(from: 0, to: history.changes.count, by: Self.changesPerOffer) {
                let changes = Array(
                    history.changes[
                        start..<min(start + Self.changesPerOffer, history.changes.count)])
                self.subscriptions.submit(
                    .offerRetained(changes), in: history.key, through: nil, owner: owner,
                    context: nil, timeout: ConversationSubscriptions.offerTimeout,
                    at: now, output: &self.output)
            }
        }
    }

    public mutating func storeAnswered(
        _ answer: StoreAnswer, ticket: StoreTicket, at now: ClockReading
    ) {
        if case .outdated(let view) = answer {
            self.newestViewNumber = max(self.newestViewNumber, view)
        }
        if !self.owner.storeAnswered(answer, ticket: ticket, at: now, output: &self.output) {
            self.subscriptions.storeAnswered(answer, ticket: ticket, at: now, output: &self.output)
        }
    }

    /// Call it several times a second.
    public mutating func tick(at now: ClockReading) {
        self.owner.tick(at: now, output: &self.output)
        self.subscriptions.retryDue(at: now, output: &self.output)
        self.subscriptions.releaseExpiredPages(at: now, output: &self.output)
        self.subscriptions.checkIfDue(at: now, output: &self.output)
        if now.monotonic >= self.nextReport {
            self.nextReport = now.monotonic + 250
            self.subscriptions.flushDueReports(output: &self.output)
        }
        if now.monotonic >= self.nextTick {
            self.nextTick = now.monotonic + 1000
            self.output.tick(view: self.owner.view.number, into: &self.envelopes)
        }
    }

    /// Processes pending work: this loop's items for itself, the batch for the store, envelopes.
    /// Call it at the end of a turn, repeatedly while `hasWork` is true, and take its outputs after
    /// every call.
    public mutating func finishTurn(at now: ClockReading) {
        if self.owner.unofferedCount > 0 { self.offerRetained(self.owner.takeUnoffered(), at: now) }
        if !self.owner.inboxPosts.isEmpty { self.postToInboxes(at: now) }
        while !self.output.local.isEmpty {
            var items: [Envelope.Item] = []
            swap(&items, &self.spareItems)
            self.output.swapLocal(with: &items)
            self.dispatch(&items, from: self.id, at: now)
            // Releases the memory of a burst.
            items.clear()
            swap(&items, &self.spareItems)
        }
        self.owner.flush(publishesWithWrite: self.publishesWithWrite, at: now, output: &self.output)
        self.output.seal(view: self.owner.view.number, into: &self.envelopes)
    }

    /// Whether there is work for `finishTurn`, or store requests to take.
    public var hasWork: Bool { self.output.hasWork || self.owner.hasWork }

    private mutating func postToInboxes(at now: ClockReading) {
        let posts = self.owner.inboxPosts
        self.owner.inboxPosts = []
        for post in posts {
            self.submit(.post(post.body), in: post.inbox, context: nil, at: now)
        }
    }

    private mutating func dispatch(
        _ items: inout [Envelope.Item], from loop: LoopID, at now: ClockReading
    ) {
        for index in items.indices {
            if index % Self.prefetchBatch == 0, items.count > 1 {
                self.prefetch(items, from: index)
            }
            // Moves the item out. A copy would retain every text in it.
            self.dispatch(exchange(&items[index], with: .resynchronize), from: loop, at: now)
        }
    }

    /// Prefetches the memory that the next items need, in two rounds: the first round loads the
    /// addresses that the second one needs.
    private mutating func prefetch(_ items: [Envelope.Item], from first: Int) {
        // The buffer lends its elements; the array would hand out copies.
        items.withUnsafeBufferPointer { items in
            let next = first..<min(first + Self.prefetchBatch, items.count)
            for index in next {
                self.owner.prefetch(items[index].ownerSlot)
                self.subscriptions.feeds.prefetch(items[index].feedSlot)
            }
            for index in next { self.owner.prefetchConversation(items[index].ownerSlot) }
        }
    }

    private mutating func dispatch(
        _ item: consuming Envelope.Item, from loop: LoopID, at now: ClockReading
    ) {
        switch consume item {
        case .input(let input):
            self.owner.handle(input, from: loop, at: now, output: &self.output)
        case .answer(let request, let answer, let slot):
            self.subscriptions.receiveAnswer(
                to: request, answer, slot: slot, at: now, output: &self.output)
        case .notOwner(let request):
            self.subscriptions.handleNotOwner(request, at: now, output: &self.output)
        case .event(let notification):
            self.subscriptions.receive(notification, from: loop, at: now, output: &self.output)
        case .reattach(let key):
            self.subscriptions.repair(key, at: now, output: &self.output)
        case .resynchronize:
            self.subscriptions.repairAll(ownedBy: loop, at: now, output: &self.output)
        case .recoveryQuery(let key):
            self.offerRetained(self.owner.retained(of: key), at: now)
        }
    }

    // MARK: Outputs

    public mutating func takeEnvelopes() -> [Envelope] {
        defer { self.envelopes = [] }
        return self.envelopes
    }

    /// Replaces the contents of `requests` with the new requests to the store. Pass the same array
    /// every time, so that nothing is allocated.
    public mutating func takeRequests(
        into requests: inout [(request: StoreRequest, ticket: StoreTicket)]
    ) {
        self.output.takeRequests(into: &requests)
    }

    /// The envelopes for loops of other nodes that the write in these requests publishes if all of
    /// it is stored. Empty if `publishesWithWrite` is false.
    ///
    /// Send the envelopes of `takeEnvelopes` before the write.
    public mutating func takeEnvelopesWithWrite() -> [Envelope] {
        self.output.takeEnvelopesWithWrite()
    }

    /// Replaces the contents of `deliveries` with the next deliveries, up to the first message
    /// after a join or a page. While `hasDeliveries` is true, there are more. Pass the same array
    /// every time, so that nothing is allocated.
    public mutating func takeDeliveries(into deliveries: inout [Delivery]) {
        self.subscriptions.takeDeliveries(into: &deliveries)
    }

    /// Whether `takePresence` returns what the conversations of this loop announce.
    public var reportsPresence: Bool {
        get { self.output.presence != nil }
        set { self.output.presence = newValue ? [] : nil }
    }

    /// Members that came online or went offline since the last call.
    public mutating func takePresence() -> [(
        conversation: ConversationKey, changes: [PresenceChange]
    )] {
        guard let presence = self.output.presence, !presence.isEmpty else { return [] }
        self.output.presence = []
        return presence
    }

    /// Whether there are deliveries to take.
    public var hasDeliveries: Bool { !self.subscriptions.deliveries.isEmpty }
}
