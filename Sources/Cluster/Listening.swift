import ChatCore
import ChatModel

/// The conversations that a loop listens to, and what it has asked of their owners.
struct Listening: Sendable {
    let id: OwnerID
    private var feeds: [Feed?] = []
    private var generations: [UInt32] = []
    private var free: [UInt32] = []
    private var index: [ConversationKey: UInt32] = [:]
    private var requests = Requests()
    private var reads: [StoreTicket: Purpose] = [:]
    private var deliveries: [Delivery] = []
    private var reports: [UInt32: [(user: UserID, range: ClosedRange<SequenceNumber>)]] = [:]
    private var mintedIDs: UInt64 = 0

    enum Purpose: Sendable {
        case page(context: UInt64)
        case repair(FeedID)
    }

    /// A request is over after this, whatever became of it; promise 5 of the design.
    static let patience: Int64 = 5000
    static let askAgainAfter: Int64 = 1000
    static let refusedPause: Int64 = 250
    static let repairPage = 200

    init(id: OwnerID) {
        self.id = id
    }

    var feedCount: Int { self.index.count }
    var waitingCount: Int { self.requests.count }

    mutating func takeDeliveries() -> [Delivery] {
        defer { self.deliveries = [] }
        return self.deliveries
    }

    mutating func mintClientID() -> ClientID {
        self.mintedIDs += 1
        return ClientID(mintedFrom: self.id.incarnation &+ UInt64(self.id.loop), count: self.mintedIDs)
    }

    // MARK: Coming and going

    mutating func enter(
        _ key: ConversationKey, _ entrance: Entrance, owner: OwnerID, context: UInt64, at now: Moment, outbox: inout Outbox
    ) -> (feed: FeedID, request: RequestID) {
        let slot: UInt32
        if let known = self.index[key] {
            slot = known
        } else {
            if let reused = self.free.popLast() {
                slot = reused
            } else {
                slot = UInt32(self.feeds.count)
                self.feeds.append(nil)
                self.generations.append(0)
            }
            self.generations[Int(slot)] &+= 1
            self.feeds[Int(slot)] = Feed(key: key, owner: owner)
            self.index[key] = slot
        }
        self.feeds[Int(slot)]?.listeners += 1
        let request = self.ask(.command(.enter(entrance)), in: key, owner: owner, context: context, at: now, outbox: &outbox)
        return (FeedID(slot: slot, generation: self.generations[Int(slot)]), request)
    }

    mutating func cancelEntrance(_ request: RequestID) {
        self.requests.cancel(request)
    }

    mutating func leave(_ feed: FeedID, _ user: UserID, outbox: inout Outbox) {
        guard self.isCurrent(feed), let present = self.feeds[Int(feed.slot)]?.present[user] else { return }
        let (key, owner) = (self.feeds[Int(feed.slot)]!.key, self.feeds[Int(feed.slot)]!.owner)
        if present.connections > 1 {
            self.feeds[Int(feed.slot)]?.present[user] = (present.person, present.connections - 1)
        } else {
            self.feeds[Int(feed.slot)]?.present[user] = nil
            self.report(feed.slot, outbox: &outbox)
            outbox.send(.input(key, .leave(user), 0), to: owner)
        }
        self.release(feed.slot, outbox: &outbox)
    }

    /// One listener, or entrance, less.
    private mutating func release(_ slot: UInt32, outbox: inout Outbox) {
        self.feeds[Int(slot)]?.listeners -= 1
        guard let feed = self.feeds[Int(slot)], feed.listeners == 0 else { return }
        outbox.send(.input(feed.key, .detach, 0), to: feed.owner)
        self.index[feed.key] = nil
        self.feeds[Int(slot)] = nil
        self.reports[slot] = nil
        self.free.append(slot)
    }

    private func isCurrent(_ feed: FeedID) -> Bool {
        Int(feed.slot) < self.feeds.count && self.feeds[Int(feed.slot)] != nil && self.generations[Int(feed.slot)] == feed.generation
    }

    private func name(_ slot: UInt32) -> FeedID {
        FeedID(slot: slot, generation: self.generations[Int(slot)])
    }

    func shownThrough(_ feed: FeedID) -> SequenceNumber {
        self.isCurrent(feed) ? self.feeds[Int(feed.slot)]!.shownThrough : 0
    }

    // MARK: Asking

    @discardableResult
    mutating func ask(
        _ input: ConversationInput, in key: ConversationKey, owner: OwnerID, context: UInt64?, at now: Moment, deadline: Int64? = nil, outbox: inout Outbox
    ) -> RequestID {
        let shown = self.index[key].map { self.feeds[Int($0)]!.shownThrough } ?? 0
        let request = self.requests.insert(
            Requests.Pending(
                conversation: key, input: input, owner: owner, context: context, deadline: deadline ?? now.monotonic + Self.patience,
                askAgainAt: now.monotonic + Self.askAgainAfter, shownThrough: shown))
        outbox.send(.input(key, input, request), to: owner)
        return request
    }

    mutating func read(_ key: ConversationKey, _ range: PageRange, limit: Int, context: UInt64, outbox: inout Outbox) {
        self.reads[outbox.request(.page(key, range, limit: limit))] = .page(context: context)
    }

    /// Asks again what has waited for long, and gives up what has waited too long.
    mutating func retry(at now: Moment, outbox: inout Outbox) {
        for (request, pending) in self.requests.due(at: now.monotonic) {
            if pending.deadline <= now.monotonic {
                self.finish(request, .failed(.unavailable), at: now, outbox: &outbox)
            } else {
                self.requests.postpone(request, until: now.monotonic + Self.askAgainAfter)
                outbox.send(.input(pending.conversation, self.current(pending), request), to: pending.owner)
            }
        }
    }

    /// An attachment is told as it is when it leaves, not as it was when it was first asked.
    private func current(_ pending: Requests.Pending) -> ConversationInput {
        guard case .attach = pending.input, let slot = self.index[pending.conversation] else { return pending.input }
        return .attach(self.attachment(slot))
    }

    private func attachment(_ slot: UInt32) -> Attachment {
        let feed = self.feeds[Int(slot)]!
        return Attachment(present: feed.present.values.map(\.person), heard: Array(feed.heard.values))
    }

    // MARK: Answers

    mutating func answered(_ request: RequestID, _ answer: ChatAnswer, at now: Moment, outbox: inout Outbox) {
        if case .failed(.unavailable) = answer, let pending = self.requests[request], now.monotonic < pending.deadline {
            // The owner could not; it, or the next one, may be able to in a moment.
            self.requests.postpone(request, until: now.monotonic + Self.refusedPause)
            return
        }
        self.finish(request, answer, at: now, outbox: &outbox)
    }

    private mutating func finish(_ request: RequestID, _ answer: ChatAnswer, at now: Moment, outbox: inout Outbox) {
        guard let pending = self.requests.remove(request) else { return }
        switch pending.input {
        case .command(.enter(let entrance)):
            self.cameIn(pending, entrance, answer, at: now, outbox: &outbox)
        case .attach:
            self.attached(pending.conversation, answer, at: now, outbox: &outbox)
        default:
            guard let context = pending.context else { return }
            var isShown = false
            // Asked more than once, and made after it was first asked: the feed shows it to the asker as well.
            if case .posted(let message) = answer { isShown = pending.attempts > 1 && message.sequence > pending.shownThrough }
            self.deliveries.append(.answer(context: context, answer, isShown: isShown))
        }
    }

    private mutating func cameIn(_ pending: Requests.Pending, _ entrance: Entrance, _ answer: ChatAnswer, at now: Moment, outbox: inout Outbox) {
        guard let slot = self.index[pending.conversation] else { return }
        guard case .entered(let entered) = answer else {
            if let context = pending.context, !pending.isCancelled {
                self.deliveries.append(.answer(context: context, answer, isShown: false))
            }
            // It may have been let in all the same, and the answer lost.
            if case .failed(.unavailable) = answer, self.feeds[Int(slot)]?.present[entrance.actor.person.id] == nil {
                outbox.send(.input(pending.conversation, .leave(entrance.actor.person.id), 0), to: pending.owner)
            }
            self.release(slot, outbox: &outbox)
            return
        }
        let person = entrance.actor.person
        let connections = self.feeds[Int(slot)]?.present[person.id]?.connections ?? 0
        self.feeds[Int(slot)]?.present[person.id] = (person, connections + 1)
        switch self.feeds[Int(slot)]!.state {
        case .opening:
            self.feeds[Int(slot)]?.open(with: entered)
        case .live where entered.revision > self.feeds[Int(slot)]!.revision:
            self.repair(slot, at: now, outbox: &outbox)
        case .live, .repairing:
            break
        }
        if pending.isCancelled {
            self.leave(self.name(slot), person.id, outbox: &outbox)
        } else if let context = pending.context {
            self.deliveries.append(.answer(context: context, answer, isShown: false))
        }
    }

    // MARK: Hearing

    mutating func heard(
        _ event: ChatEvent, in key: ConversationKey, _ revision: Revision, answering request: RequestID, from owner: OwnerID, at now: Moment,
        outbox: inout Outbox
    ) {
        guard let slot = self.index[key] else {
            // The farewell was lost: nobody listens here any more.
            outbox.send(.input(key, .detach, 0), to: owner)
            if request != 0 { self.finish(request, Owner.answer(for: event), at: now, outbox: &outbox) }
            return
        }
        if revision == 0 {
            self.heardByTheWay(event, slot)
            return
        }
        switch self.feeds[Int(slot)]!.judge(event, revision: revision, answering: request) {
        case .deliver:
            self.show(event, revision, answering: request, slot)
            while let (event, request) = self.feeds[Int(slot)]!.takeNext() {
                self.show(event, self.feeds[Int(slot)]!.revision + 1, answering: request, slot)
            }
        case .drop:
            if request != 0 { self.finish(request, Owner.answer(for: event), at: now, outbox: &outbox) }
        case .hold(let mustRepair):
            if mustRepair { self.repair(slot, at: now, outbox: &outbox) }
        }
    }

    private mutating func heardByTheWay(_ event: ChatEvent, _ slot: UInt32) {
        switch (self.feeds[Int(slot)]!.state, event) {
        case (.opening, _), (.repairing, .presence), (.repairing, .crowd):
            return  // The answer that is under way says who is there.
        case (_, .presence(let changes)): self.feeds[Int(slot)]?.note(changes)
        case (_, .crowd): self.feeds[Int(slot)]?.heard = [:]
        default: break
        }
        self.deliveries.append(.event(self.name(slot), event, answering: nil))
    }

    private mutating func show(_ event: ChatEvent, _ revision: Revision, answering request: RequestID, _ slot: UInt32) {
        self.feeds[Int(slot)]!.revision = revision
        if case .posted(let message) = event { self.feeds[Int(slot)]!.shownThrough = message.sequence }
        let context = request == 0 ? nil : self.requests.remove(request)?.context
        self.deliveries.append(.event(self.name(slot), event, answering: context))
    }

    // MARK: Repair

    mutating func repairAll(ownedBy owner: OwnerID, at now: Moment, outbox: inout Outbox) {
        for slot in self.feeds.indices where self.feeds[slot]?.owner == owner { self.repair(UInt32(slot), at: now, outbox: &outbox) }
    }

    mutating func repair(_ key: ConversationKey, at now: Moment, outbox: inout Outbox) {
        if let slot = self.index[key] { self.repair(slot, at: now, outbox: &outbox) }
    }

    private mutating func repair(_ slot: UInt32, at now: Moment, outbox: inout Outbox) {
        // One that is just opening is asked for anyhow, and one under repair is asked for again: what was missed may
        // lie behind the attachment that is under way.
        guard let feed = self.feeds[Int(slot)] else { return }
        if case .opening = feed.state { return }
        self.feeds[Int(slot)]?.state = .repairing
        self.ask(.attach(self.attachment(slot)), in: feed.key, owner: feed.owner, context: nil, at: now, deadline: .max, outbox: &outbox)
    }

    private mutating func attached(_ key: ConversationKey, _ answer: ChatAnswer, at now: Moment, outbox: inout Outbox) {
        guard let slot = self.index[key], case .repairing = self.feeds[Int(slot)]!.state else { return }
        if case .entered(let entered) = answer {
            let changes = self.feeds[Int(slot)]!.presenceChanges(towards: entered, at: now)
            if !changes.isEmpty { self.deliveries.append(.event(self.name(slot), .presence(changes), answering: nil)) }
        }
        self.fetchMissing(slot, outbox: &outbox)
    }

    private mutating func fetchMissing(_ slot: UInt32, outbox: inout Outbox) {
        let feed = self.feeds[Int(slot)]!
        let ticket = outbox.request(.changes(feed.key, after: feed.shownThrough, since: feed.revision, limit: Self.repairPage))
        self.reads[ticket] = .repair(self.name(slot))
    }

    mutating func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket, at now: Moment, outbox: inout Outbox) {
        guard let purpose = self.reads.removeValue(forKey: ticket) else { return }
        switch (purpose, answer) {
        case (.page(let context), .page(let page)):
            self.deliveries.append(.page(context: context, page))
        case (.page(let context), _):
            self.deliveries.append(.pageFailed(context: context))
        case (.repair(let feed), .page(let page)):
            if self.isCurrent(feed) { self.mend(feed.slot, with: page, at: now, outbox: &outbox) }
        case (.repair(let feed), _):
            // The store is away: asked again by way of the owner.
            if self.isCurrent(feed) { self.repair(feed.slot, at: now, outbox: &outbox) }
        }
    }

    /// Shows what was missed, and goes on.
    private mutating func mend(_ slot: UInt32, with page: Page, at now: Moment, outbox: inout Outbox) {
        guard case .repairing = self.feeds[Int(slot)]!.state else { return }
        let before = self.feeds[Int(slot)]!
        for message in page.amended where message.sequence <= before.shownThrough && message.revision > before.revision {
            self.deliveries.append(.event(self.name(slot), message.state == .deleted ? .deleted(message) : .edited(message), answering: nil))
        }
        for message in page.messages where message.sequence > self.feeds[Int(slot)]!.shownThrough {
            self.feeds[Int(slot)]!.shownThrough = message.sequence
            self.deliveries.append(.event(self.name(slot), .posted(message), answering: nil))
        }
        if self.feeds[Int(slot)]!.shownThrough < page.head, !page.messages.isEmpty {
            self.fetchMissing(slot, outbox: &outbox)
            return
        }
        self.feeds[Int(slot)]!.revision = max(before.revision, page.revision)
        self.feeds[Int(slot)]!.state = .live
        for (event, request) in self.feeds[Int(slot)]!.forget(through: self.feeds[Int(slot)]!.revision) where request != 0 {
            self.finish(request, Owner.answer(for: event), at: now, outbox: &outbox)
        }
        while let (event, request) = self.feeds[Int(slot)]!.takeNext() {
            self.show(event, self.feeds[Int(slot)]!.revision + 1, answering: request, slot)
        }
        // Something between is missing still.
        if self.feeds[Int(slot)]!.hasEarly { self.repair(slot, at: now, outbox: &outbox) }
    }

    // MARK: Reports

    mutating func delivered(_ feed: FeedID, to user: UserID, _ range: ClosedRange<SequenceNumber>) {
        guard self.isCurrent(feed) else { return }
        var reports = self.reports[feed.slot] ?? []
        if let place = reports.lastIndex(where: { $0.user == user && $0.range.upperBound + 1 >= range.lowerBound && $0.range.lowerBound <= range.lowerBound }) {
            reports[place].range = reports[place].range.lowerBound...max(reports[place].range.upperBound, range.upperBound)
        } else {
            reports.append((user, range))
        }
        self.reports[feed.slot] = reports
    }

    mutating func report(outbox: inout Outbox) {
        for slot in self.reports.keys { self.report(slot, outbox: &outbox) }
    }

    private mutating func report(_ slot: UInt32, outbox: inout Outbox) {
        guard let reports = self.reports.removeValue(forKey: slot), let feed = self.feeds[Int(slot)] else { return }
        for (user, range) in reports { outbox.send(.input(feed.key, .delivered(user, range), 0), to: feed.owner) }
    }
}
