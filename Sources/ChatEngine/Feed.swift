import Bytes
import ChatCore
import ChatModel

/// Identifies a feed while it is open.
public struct FeedID: Sendable, Hashable {
    public let slot: UInt32
    let generation: UInt32
}

/// One loop's subscription to one conversation: the newest change, out-of-order changes,
/// subscribers.
///
/// The owner numbers every durable change. The feed delivers each change exactly once and in order.
struct Feed: Sendable {
    enum State: Sendable {
        /// No join has been answered yet. Events before the first answer are contained in that
        /// answer.
        case opening
        case live
        /// Something was missed; a request to the owner or to the store is pending.
        case repairing
    }

    /// How a received event is handled.
    enum EventDisposition {
        case deliver
        /// It has been delivered already.
        case drop
        /// It arrived too early and waits. `startsRepair` says whether a repair must begin.
        case deferred(startsRepair: Bool)
    }

    struct OutOfOrderEvent: Sendable {
        let event: ChatEvent
        let answering: RequestID
    }

    /// A user of this loop who subscribes or joins.
    struct Subscriber: UserKeyed {
        var person: Person
        var connections: Int32 = 0
        /// Joins that the owner has not answered.
        var pendingJoins: Int32 = 0
        var user: UserID { self.person.id }
    }

    /// A page of messages on its way to a requester.
    struct PageRequest: Sendable {
        let context: RequestContextID
        let conversation: ConversationKey
        let request: StoreRequest
        var attempts = 1
        var page: MessagePage?
        /// When it is delivered even if the feed has not caught up with it.
        var deadline: Int64 = 0
    }

    /// An answer that waits until the feed has delivered the messages before it.
    struct DeferredAnswer: Sendable {
        let sequence: SequenceNumber
        let request: RequestID
    }

    // The fields that every message uses come first.
    var state: State = .opening
    /// The owner has ended the conversation.
    var isEnded = false
    /// The owner publishes the number of people online, not their names.
    var isCrowd = false
    /// Something was missed before the first join was answered; the repair starts after that
    /// answer.
    var mustRepair = false
    /// The slot in which the owner holds the conversation.
    var ownerSlot = UInt32.max
    var owner: LoopID
    /// The newest change and the newest message delivered.
    var revision: Revision = 0
    var deliveredThrough: SequenceNumber = 0
    /// The first message queued in the current batch of deliveries, and the number of that batch.
    var queuedFrom: SequenceNumber = 0
    var queuedInBatch: UInt64 = 0
    private(set) var outOfOrder: [Revision: OutOfOrderEvent] = [:]
    var deferredAnswers: [DeferredAnswer] = []
    /// Pages that are ahead of the feed.
    var waitingPages: [PageRequest] = []
    /// Unsent delivery reports, and the number of periods that they may still wait for other items.
    var reports: [DeliveryReport] = []
    var reportPeriods: UInt8 = 0
    /// It is in the loop's list of feeds with reports.
    var isInReportList = false
    /// When the newest message was delivered, and whether it followed the previous one within a
    /// second.
    var deliveredAt = -Self.busyMilliseconds
    var isBusy = false
    let key: ConversationKey
    /// The size of the fields above.
    static var hotBytes: Int { MemoryLayout<Self>.offset(of: \.amendedThrough)! }

    /// The newest edit or deletion delivered. A page that was read earlier could undo it.
    var amendedThrough: Revision = 0
    /// While repairing: the attach request without an answer, and the page request without one.
    var pendingAttach: RequestID = 0
    var pendingFetch: StoreTicket = 0
    /// Joins that were answered while an attach request was pending. They wait for it: otherwise
    /// new subscribers would have another list of online users than the existing ones.
    var joinsAwaitingAttach: [RequestID] = []
    /// The change up to which a repair has delivered edits. It can be ahead of `revision`: a page
    /// contains messages only, and the other changes arrive from the owner.
    var repairedThrough: Revision = 0
    /// While repairing: the revision after which the owner sends every change.
    var attachedAtRevision: Revision = 0
    /// The subscribers, including pending joins. The feed closes when there are none.
    var subscribers = UserMap<Subscriber>()
    /// Connections and pending joins.
    var connectionCount = 0
    /// The users that the subscribers know to be online; in a crowd, only those delivered by name.
    var knownOnline = UserMap<Person>()
    /// The users that the subscribers know to be typing.
    var typingUsers: [Person] = []
    /// A missed end of the conversation, while the changes before it are being fetched.
    var missedEnd: ConversationEnd?
    /// The reports that were sent last.
    var lastReports: [DeliveryReport] = []
    /// All delivered messages from here on are in the loop's `DeliveryLog`, including those from
    /// pages.
    var loggedFrom: SequenceNumber = .max
    static let outOfOrderLimit = 1024
    static let reportLimit = 64
    /// The number of periods, of a quarter of a second, for which a report waits for the next
    /// message of a busy conversation. A status that is sent on its own costs a separate write.
    static let busyReportPeriods: UInt8 = 4
    private static let busyMilliseconds: Int64 = 1000
    static let knownOnlineLimit = 4096

    init(key: ConversationKey, owner: LoopID) {
        self.key = key
        self.owner = owner
    }

    // MARK: Changes

    /// Classifies a durable change by its revision.
    mutating func classify(_ event: ChatEvent, revision: Revision, answering: RequestID)
        -> EventDisposition
    {
        switch self.state {
        case .opening:
            return .drop
        case .live, .repairing:
            if revision <= self.revision {
                guard self.distance(to: event) > 0 else { return .drop }
                // The owner has another history than the one delivered: two masters accepted
                // writes.
                if case .repairing = self.state { return .deferred(startsRepair: false) }
                return .deferred(startsRepair: true)
            }
            if revision == self.revision + 1, case .live = self.state, self.distance(to: event) <= 1
            {
                return .deliver
            }
            // Beyond the limit, out-of-order changes are dropped; the repair reads them from the
            // store.
            if self.outOfOrder.count < Self.outOfOrderLimit {
                self.outOfOrder[revision] = OutOfOrderEvent(event: event, answering: answering)
            }
            if case .repairing = self.state { return .deferred(startsRepair: false) }
            return .deferred(startsRepair: true)
        }
    }

    /// How many messages this one is ahead of the newest one delivered.
    private func distance(to event: ChatEvent) -> Int {
        if case .posted(let message) = event { message.sequence - self.deliveredThrough } else { 0 }
    }

    /// Whether a repair has already delivered it.
    func hasDelivered(_ event: ChatEvent, revision: Revision) -> Bool {
        switch event {
        case .posted(let message): message.sequence <= self.deliveredThrough
        case .edited, .deleted: revision <= self.repairedThrough
        case .ended: self.isEnded
        default: false
        }
    }

    /// Rolls back to a point of a history that was lost. The store's version is delivered from
    /// there.
    mutating func rollBack(to revision: Revision, through sequence: SequenceNumber) {
        self.revision = min(self.revision, revision)
        self.repairedThrough = min(self.repairedThrough, revision)
        self.amendedThrough = self.repairedThrough
        self.attachedAtRevision = 0
        self.deliveredThrough = min(self.deliveredThrough, sequence)
        self.loggedFrom = self.deliveredThrough + 1
        self.outOfOrder = [:]
        // A fetch in progress starts after that point.
        self.pendingFetch = 0
    }

    var hasOutOfOrder: Bool { !self.outOfOrder.isEmpty }

    /// Records that a change was delivered.
    mutating func recordDelivered(_ event: ChatEvent, revision: Revision, at now: ClockReading) {
        self.revision = revision
        switch event {
        case .posted(let message):
            self.deliveredThrough = message.sequence
            self.isBusy = now.monotonic - self.deliveredAt < Self.busyMilliseconds
            self.deliveredAt = now.monotonic
        case .edited, .deleted: self.amendedThrough = revision
        case .ended: self.isEnded = true
        default: break
        }
    }

    /// The next change in sequence, if it arrived early. A message that is not next belongs to
    /// another master's history, with a revision that both use. It stays until a repair has
    /// delivered the history that remains.
    mutating func takeNextOutOfOrder() -> OutOfOrderEvent? {
        guard !self.outOfOrder.isEmpty, let next = self.outOfOrder[self.revision + 1],
            self.distance(to: next.event) <= 1
        else { return nil }
        return self.outOfOrder.removeValue(forKey: self.revision + 1)
    }

    /// Removes the out-of-order changes that a repair has covered.
    mutating func takeOutOfOrder(through revision: Revision) -> [OutOfOrderEvent] {
        let covered = self.outOfOrder.filter { $0.key <= revision }.sorted { $0.key < $1.key }
        for (revision, _) in covered { self.outOfOrder[revision] = nil }
        return covered.map(\.value)
    }

    /// Removes the requests that wait for this message, or all of them if `sequence` is nil.
    mutating func takeDeferredAnswers(for sequence: SequenceNumber?) -> [RequestID] {
        guard !self.deferredAnswers.isEmpty else { return [] }
        let due = self.deferredAnswers.filter { sequence == nil || $0.sequence == sequence }
        self.deferredAnswers.removeAll { sequence == nil || $0.sequence == sequence }
        return due.map(\.request)
    }

    /// Removes the pages that the feed has caught up with, and those whose deadline has passed.
    mutating func takeReleasablePages(at now: Int64 = .min) -> [PageRequest] {
        let due = self.waitingPages.filter {
            $0.page!.revision <= self.revision || $0.deadline <= now
        }
        if !due.isEmpty {
            self.waitingPages.removeAll { page in due.contains { $0.context == page.context } }
        }
        return due
    }

    /// Extends the deadlines of waiting pages.
    mutating func extendPageDeadlines(by milliseconds: Int64) {
        for index in self.waitingPages.indices { self.waitingPages[index].deadline += milliseconds }
    }

    // MARK: Presence

    /// The changes that are new to the subscribers. They count as delivered.
    mutating func presenceChanges(in changes: [PresenceChange], at now: ClockReading)
        -> [PresenceChange]
    {
        if self.isCrowd {
            return self.presenceChangesAfterCrowd(changes.filter(\.isOnline), at: now)
        }
        let newChanges = changes.filter { (self.knownOnline[$0.person.id] != nil) != $0.isOnline }
        self.recordPresence(newChanges)
        return newChanges
    }

    /// The changes that bring the subscribers to the presence state in the owner's answer.
    ///
    /// - Parameter joiningUser: the joining user. The owner leaves it out of its answer.
    mutating func presenceChanges(
        toReach joinResult: JoinResult, joiningUser: UserID? = nil, at now: ClockReading
    ) -> [PresenceChange] {
        if joinResult.isCrowd {
            self.isCrowd = true
            return []
        }
        if self.isCrowd {
            return self.presenceChangesAfterCrowd(
                joinResult.present, joiningUser: joiningUser, at: now)
        }
        let arrivals = joinResult.present.filter { self.knownOnline[$0.person.id] == nil }
        // If no user has left, the number cannot have shrunk.
        let known =
            self.knownOnline.count + arrivals.count
            - (joiningUser.map { self.knownOnline[$0] == nil ? 0 : 1 } ?? 0)
        let newChanges =
            (known > joinResult.present.count
                ? self.departures(
                    missingFrom: joinResult.present, joiningUser: joiningUser, at: now)
                : [])
            + arrivals
        self.recordPresence(newChanges)
        return newChanges
    }

    /// Names all users again, because subscribers that joined during the crowd know none of them.
    private mutating func presenceChangesAfterCrowd(
        _ present: [PresenceChange], joiningUser: UserID? = nil, at now: ClockReading
    ) -> [PresenceChange] {
        self.isCrowd = false
        let newChanges =
            self.departures(missingFrom: present, joiningUser: joiningUser, at: now) + present
        self.recordPresence(newChanges)
        return newChanges
    }

    private func departures(
        missingFrom present: [PresenceChange], joiningUser: UserID?, at now: ClockReading
    ) -> [PresenceChange] {
        let online = Set(present.map(\.person.id))
        return self.knownOnline.values.filter { !online.contains($0.id) && $0.id != joiningUser }
            .sorted { $0.id < $1.id }
            .map { PresenceChange(person: $0, isOnline: false, at: now.wall) }
    }

    /// Records a crowd: the owner publishes its size and some of its joins and departures.
    mutating func recordCrowd(_ changes: [PresenceChange]) {
        self.isCrowd = true
        self.recordPresence(changes)
        // For a large crowd, the list of known users is dropped.
        if self.knownOnline.count > Self.knownOnlineLimit { self.knownOnline = UserMap() }
    }

    private mutating func recordPresence(_ changes: [PresenceChange]) {
        for change in changes {
            self.knownOnline[change.person.id] = change.isOnline ? change.person : nil
        }
    }

    /// The subscriber state for the owner. It is sorted, so that simulations are reproducible.
    var currentAttachment: Attachment {
        let subscribers = self.subscribers.values.sorted { $0.person.id < $1.person.id }
        return Attachment(
            present: subscribers.lazy.filter { $0.connections > 0 }.map(\.person),
            joining: subscribers.lazy.filter { $0.connections == 0 }.map(\.person),
            knownOnline: self.isCrowd ? [] : self.knownOnline.values.sorted { $0.id < $1.id },
            delivered: self.lastReports,
            revision: self.revision, head: self.deliveredThrough)
    }

    // MARK: Reports

    /// Adds a report that a socket of this user accepted messages.
    mutating func addReport(_ report: DeliveryReport) {
        if let last = self.reports.lastIndex(where: { $0.user == report.user }),
            self.reports[last].range.touches(report.range)
        {
            self.reports[last].range = self.reports[last].range.joined(with: report.range)
        } else if self.reports.count < Self.reportLimit {
            self.reports.append(report)
        }
        // Beyond the limit the report is dropped: two users per message are enough.
    }

    /// Records that the reports were sent. The last two are kept.
    mutating func recordReportsSent() {
        for report in self.reports {
            if let known = self.lastReports.firstIndex(where: {
                $0.user == report.user && $0.range.touches(report.range)
            }) {
                self.lastReports[known].range = self.lastReports[known].range.joined(
                    with: report.range)
            } else {
                if self.lastReports.count == 2 { self.lastReports.removeFirst() }
                self.lastReports.append(report)
            }
        }
        self.reports.clear(keepingCapacityUpTo: 2)
    }
}

extension ClosedRange<SequenceNumber> {
    func touches(_ other: Self) -> Bool {
        self.lowerBound <= other.upperBound + 1 && other.lowerBound <= self.upperBound + 1
    }

    func joined(with other: Self) -> Self {
        Swift.min(self.lowerBound, other.lowerBound)...Swift.max(self.upperBound, other.upperBound)
    }
}
