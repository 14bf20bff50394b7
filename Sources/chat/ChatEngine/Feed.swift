public import Bytes
import ChatCore
import ChatModel

/// Identifies a feed while it is open.
public struct FeedID: SlotKey {
    public let slot: UInt32
    public let generation: UInt32

    public init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }
}

/// One loop's subscription to one conversation: the newest change, out-of-order changes,
/// subscribers.
///
/// The owner numbers every durable change. The feed delivers each change exactly once and in order.
struct Feed: Sendable {
    enum State: Sendable {
        /// No join has been answered yet. Events before the first answer are contained in that
        /// answer. If something was missed meanwhile, the repair starts after the answer.
        case opening(mustRepair: Bool)
        case live
        /// Something was missed; a request to the owner or to the store is pending. The payload is
        /// indirect, because every message reads the state and few feeds are under repair.
        indirect case repairing(Repair)

        var isOpening: Bool { if case .opening = self { true } else { false } }
        var isLive: Bool { if case .live = self { true } else { false } }
        var isRepairing: Bool { if case .repairing = self { true } else { false } }
    }

    /// The progress of a repair. It attaches to the owner, then fetches from the store what the
    /// owner's answer shows to be missing.
    struct Repair: Sendable {
        /// The attach request without an answer; 0 if there is none.
        var pendingAttach: RequestID = 0
        /// The page request without an answer; 0 if there is none.
        var pendingFetch: StoreTicket = 0
        /// The conversation's revision in the owner's newest answer. The owner sends every change
        /// after it, and a page from before it is outdated.
        var attachedAtRevision: Revision = 0
        /// Joins that were answered while an attach request was pending. They wait for it:
        /// otherwise new subscribers would have another list of online users than the existing
        /// ones.
        var joinsAwaitingAttach: [RequestID] = []
        /// A missed end of the conversation, while the changes before it are being fetched.
        var missedEnd: ConversationEnd?

        mutating func takeJoinsAwaitingAttach() -> [RequestID] {
            defer { self.joinsAwaitingAttach = [] }
            return self.joinsAwaitingAttach
        }
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
    var state: State = .opening(mustRepair: false)
    /// The owner has ended the conversation.
    var isEnded = false
    /// The owner publishes the number of people online, not their names.
    var isCrowd = false
    /// The slot in which the owner holds the conversation.
    var ownerSlot = UInt32.max
    var owner: LoopID
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
    /// How far the feed has got. Last of the hot fields, because its own cold fields follow.
    var watermarks = Watermarks()
    /// The size of the fields that every message uses.
    static var hotBytes: Int {
        MemoryLayout<Self>.offset(of: \.watermarks)! + Watermarks.hotBytes
    }

    /// The subscribers, including pending joins. The feed closes when there are none.
    var subscribers = UserMap<Subscriber>()
    /// Connections and pending joins.
    var connectionCount = 0
    /// The users that the subscribers know to be online; in a crowd, only those delivered by name.
    var knownOnline = UserMap<Person>()
    /// The users that the subscribers know to be typing.
    var typingUsers: [Person] = []
    /// The reports that were sent last.
    var lastReports: [DeliveryReport] = []
    /// Answered amendments that wait until the repair has delivered their changes.
    private var deferredAmendments: [RequestID] = []
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

    // MARK: Repair

    /// The repair in progress; nil if there is none. Only a feed under repair has one to change.
    var repair: Repair? {
        get { if case .repairing(let repair) = self.state { repair } else { nil } }
        set {
            guard let newValue, self.state.isRepairing else { return }
            self.state = .repairing(newValue)
        }
    }

    /// Whether the owner has not answered the newest attach request.
    var awaitsAttach: Bool { self.repair.map { $0.pendingAttach != 0 } ?? false }

    /// Starts a repair, unless one is in progress. The feed must have been opened.
    mutating func startRepair() {
        guard self.state.isLive else { return }
        self.state = .repairing(Repair())
        self.watermarks.startRepair()
    }

    /// Ends a repair that has delivered everything up to the owner's newest answer.
    ///
    /// - Returns: the missed end of the conversation, if there was one.
    mutating func endRepair() -> ConversationEnd? {
        guard let repair = self.repair else { return nil }
        self.state = .live
        self.watermarks.endRepair(at: repair.attachedAtRevision)
        return repair.missedEnd
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
            if revision <= self.watermarks.revision {
                guard self.distance(to: event) > 0 else { return .drop }
                // The owner has another history than the one delivered: two masters accepted
                // writes.
                return .deferred(startsRepair: self.state.isLive)
            }
            if self.watermarks.isNext(revision), self.state.isLive, self.distance(to: event) <= 1 {
                return .deliver
            }
            // Beyond the limit, out-of-order changes are dropped; the repair reads them from the
            // store.
            if self.outOfOrder.count < Self.outOfOrderLimit {
                self.outOfOrder[revision] = OutOfOrderEvent(event: event, answering: answering)
            }
            return .deferred(startsRepair: self.state.isLive)
        }
    }

    /// How many messages this one is ahead of the newest one delivered.
    private func distance(to event: ChatEvent) -> Int {
        if case .posted(let message) = event {
            message.sequence - self.watermarks.deliveredThrough
        } else {
            0
        }
    }

    /// Whether a repair has already delivered it.
    func hasDelivered(_ event: ChatEvent, revision: Revision) -> Bool {
        switch event {
        case .posted(let message): message.sequence <= self.watermarks.deliveredThrough
        case .edited, .deleted, .reacted, .pinned, .unpinned:
            revision <= self.watermarks.repairedThrough
        case .ended: self.isEnded
        case .created, .joined, .renamed, .left, .updated, .typing, .read, .status, .presence,
            .crowd:
            false
        }
    }

    /// Rolls back to a point of a history that was lost. The store's version is delivered from
    /// there.
    mutating func rollBack(to revision: Revision, through sequence: SequenceNumber) {
        self.watermarks.rollBack(to: revision, through: sequence)
        self.outOfOrder = [:]
        // A fetch in progress starts after that point, and the owner's answer is outdated.
        self.repair?.pendingFetch = 0
        self.repair?.attachedAtRevision = 0
    }

    var hasOutOfOrder: Bool { !self.outOfOrder.isEmpty }

    /// Records that a change was delivered.
    mutating func recordDelivered(_ event: ChatEvent, revision: Revision, at now: ClockReading) {
        self.watermarks.revision = revision
        switch event {
        case .posted(let message):
            self.watermarks.deliveredThrough = message.sequence
            self.isBusy = now.monotonic - self.deliveredAt < Self.busyMilliseconds
            self.deliveredAt = now.monotonic
        case .edited, .deleted, .reacted, .pinned, .unpinned:
            self.watermarks.amendedThrough = revision
        case .ended: self.isEnded = true
        case .created, .joined, .renamed, .left, .updated, .typing, .read, .status, .presence,
            .crowd:
            break
        }
    }

    /// The next change in sequence, if it arrived early. A message that is not next belongs to
    /// another master's history, with a revision that both use. It stays until a repair has
    /// delivered the history that remains.
    mutating func takeNextOutOfOrder() -> OutOfOrderEvent? {
        guard !self.outOfOrder.isEmpty, let next = self.outOfOrder[self.watermarks.revision + 1],
            self.distance(to: next.event) <= 1
        else { return nil }
        return self.outOfOrder.removeValue(forKey: self.watermarks.revision + 1)
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

    /// Defers the answer to an amendment until the repair ends.
    mutating func deferAmendment(_ request: RequestID) {
        if !self.deferredAmendments.contains(request) { self.deferredAmendments.append(request) }
    }

    mutating func takeDeferredAmendments() -> [RequestID] {
        defer { self.deferredAmendments = [] }
        return self.deferredAmendments
    }

    /// Removes the pages that the feed has caught up with, and those whose deadline has passed.
    mutating func takeReleasablePages(at now: Int64 = .min) -> [PageRequest] {
        let due = self.waitingPages.filter {
            $0.page!.revision <= self.watermarks.revision || $0.deadline <= now
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

    /// The subscriber state for the owner. It is sorted, so that simulations are reproducible.
    var currentAttachment: Attachment {
        let subscribers = self.subscribers.values.sorted { $0.person.id < $1.person.id }
        return Attachment(
            present: subscribers.lazy.filter { $0.connections > 0 }.map(\.person),
            joining: subscribers.lazy.filter { $0.connections == 0 }.map(\.person),
            knownOnline: self.isCrowd ? [] : self.knownOnline.values.sorted { $0.id < $1.id },
            delivered: self.lastReports,
            revision: self.watermarks.revision, head: self.watermarks.deliveredThrough)
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
