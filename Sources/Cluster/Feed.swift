import Bytes
import ChatCore
import ChatModel

/// Names a conversation that a loop listens to, while it does.
public struct FeedID: Sendable, Hashable {
    public let slot: UInt32
    let generation: UInt32
}

/// One conversation as a loop hears it: what came last, what came too early, who listens.
///
/// The owner numbers every durable change; this sees to it that the listeners get each once and in order.
struct Feed: Sendable {
    enum State: Sendable {
        /// Nobody has come in yet: what is said before the first answer is in that answer.
        case opening
        case live
        /// Something was missed: the owner has been asked, or the store.
        case repairing
    }

    /// What is to be done with something that came.
    enum EventDisposition {
        case deliver
        /// It has been shown already.
        case drop
        /// It came too early and is kept; whether a repair has to begin.
        case deferred(startsRepair: Bool)
    }

    struct OutOfOrderEvent: Sendable {
        let event: ChatEvent
        let answering: RequestID
    }

    /// Somebody who listens, or is about to.
    struct Subscriber: UserKeyed {
        var person: Person
        var connections: Int32 = 0
        /// Entrances that the owner has not answered.
        var pendingJoins: Int32 = 0
        var user: UserID { self.person.id }
    }

    /// A page that was read for somebody.
    struct PageRequest: Sendable {
        let context: UInt64
        let conversation: ConversationKey
        let request: StoreRequest
        var attempts = 1
        var page: MessagePage?
        /// When it is handed out even if it is ahead.
        var deadline: Int64 = 0
    }

    /// An answer that waits until the feed has shown what comes before it.
    struct DeferredAnswer: Sendable {
        let sequence: SequenceNumber
        let request: RequestID
    }

    // What every message touches stands first.
    var state: State = .opening
    /// The owner has ended the conversation.
    var isEnded = false
    /// The owner tells of numbers, not of people.
    var isCrowd = false
    /// Something was missed while nobody had come in yet: the repair follows the first answer.
    var mustRepair = false
    /// Where the owner has the conversation.
    var ownerSlot = UInt32.max
    var owner: LoopID
    /// The newest change and message shown.
    var revision: Revision = 0
    var deliveredThrough: SequenceNumber = 0
    /// The first message shown since the deliveries were taken for the so-manieth time.
    var queuedFrom: SequenceNumber = 0
    var queuedInBatch: UInt64 = 0
    private(set) var outOfOrder: [Revision: OutOfOrderEvent] = [:]
    var deferredAnswers: [DeferredAnswer] = []
    /// Pages that are ahead of what the feed has shown, and wait for it.
    var waitingPages: [PageRequest] = []
    /// Reports of deliveries that have not left, and for how many periods more they may wait for company.
    var reports: [DeliveryReport] = []
    var reportPeriods: UInt8 = 0
    /// It stands in the loop's list of feeds with reports.
    var isInReportList = false
    /// When the newest message was shown, and whether the one before it was less than a second older.
    var deliveredAt = -Self.busyMilliseconds
    var isBusy = false
    let key: ConversationKey
    /// What the above takes.
    static var hotBytes: Int { MemoryLayout<Self>.offset(of: \.amendedThrough)! }

    /// The newest edit or deletion shown: a page that was read before would bring back what it took away.
    var amendedThrough: Revision = 0
    /// While repairing: the attachment that the owner has not answered, and the page that the store has not.
    var pendingAttach: RequestID = 0
    var pendingFetch: StoreTicket = 0
    /// Entrances that were answered while the attachment was not. They wait for it: whoever came in now would know
    /// other people to be online than those who are in.
    var joinsAwaitingAttach: [RequestID] = []
    /// The change up to which a repair has shown edits. It may be ahead of `revision`: a page tells of messages alone,
    /// and the other changes come as the owner tells them.
    var repairedThrough: Revision = 0
    /// While repairing: the change from which on the owner tells everything.
    var attachedAtRevision: Revision = 0
    /// Who listens or is about to. Nobody: the feed is closed.
    var subscribers = UserMap<Subscriber>()
    /// Connections and entrances under way.
    var connectionCount = 0
    /// Whom the listeners believe to be online; of a crowd only those whom they were told by name.
    var knownOnline = UserMap<Person>()
    /// Of whom the listeners believe that they are typing.
    var typingUsers: [Person] = []
    /// An end that was missed, while what came before it is being fetched.
    var missedEnd: ConversationEnd?
    /// Reports of deliveries that have left last.
    var lastReports: [DeliveryReport] = []
    /// All messages from here on that were shown are noted among the loop's `DeliveryLog`, be it from a page.
    var loggedFrom: SequenceNumber = .max
    static let outOfOrderLimit = 1024
    static let reportLimit = 64
    /// So many periods of a quarter of a second a report waits for the next message of a busy conversation: a status that leaves
    /// alone is a write of its own.
    static let busyReportPeriods: UInt8 = 4
    private static let busyMilliseconds: Int64 = 1000
    static let knownOnlineLimit = 4096

    init(key: ConversationKey, owner: LoopID) {
        self.key = key
        self.owner = owner
    }

    // MARK: Changes

    /// Judges a change by its revision.
    mutating func classify(_ event: ChatEvent, revision: Revision, answering: RequestID)
        -> EventDisposition
    {
        switch self.state {
        case .opening:
            return .drop
        case .live, .repairing:
            if revision <= self.revision {
                guard self.distance(to: event) > 0 else { return .drop }
                // The owner has another history than was shown: two masters, for a moment.
                if case .repairing = self.state { return .deferred(startsRepair: false) }
                return .deferred(startsRepair: true)
            }
            if revision == self.revision + 1, case .live = self.state, self.distance(to: event) <= 1
            {
                return .deliver
            }
            // At the bound what came early is forgotten; the repair reads it from the store.
            if self.outOfOrder.count < Self.outOfOrderLimit {
                self.outOfOrder[revision] = OutOfOrderEvent(event: event, answering: answering)
            }
            if case .repairing = self.state { return .deferred(startsRepair: false) }
            return .deferred(startsRepair: true)
        }
    }

    /// By how many messages this one is ahead of what was shown.
    private func distance(to event: ChatEvent) -> Int {
        if case .posted(let message) = event { message.sequence - self.deliveredThrough } else { 0 }
    }

    /// Whether a repair has shown it before.
    func hasDelivered(_ event: ChatEvent, revision: Revision) -> Bool {
        switch event {
        case .posted(let message): message.sequence <= self.deliveredThrough
        case .edited, .deleted: revision <= self.repairedThrough
        case .ended: self.isEnded
        default: false
        }
    }

    /// What follows has come to nothing, and is shown as the store has it.
    mutating func rollBack(to revision: Revision, through sequence: SequenceNumber) {
        self.revision = min(self.revision, revision)
        self.repairedThrough = min(self.repairedThrough, revision)
        self.amendedThrough = self.repairedThrough
        self.attachedAtRevision = 0
        self.deliveredThrough = min(self.deliveredThrough, sequence)
        self.loggedFrom = self.deliveredThrough + 1
        self.outOfOrder = [:]
        // What was being fetched begins behind that.
        self.pendingFetch = 0
    }

    var hasOutOfOrder: Bool { !self.outOfOrder.isEmpty }

    /// Notes that a change is shown.
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

    /// The next change, if it came early. A message that is not the next one is of another history than was shown, under a number
    /// that both have: it stays until a repair has shown what holds.
    mutating func takeNextOutOfOrder() -> OutOfOrderEvent? {
        guard !self.outOfOrder.isEmpty, let next = self.outOfOrder[self.revision + 1],
            self.distance(to: next.event) <= 1
        else { return nil }
        return self.outOfOrder.removeValue(forKey: self.revision + 1)
    }

    /// A repair has shown everything up to here: what is left of the early ones is in it, or follows it.
    mutating func takeOutOfOrder(through revision: Revision) -> [OutOfOrderEvent] {
        let covered = self.outOfOrder.filter { $0.key <= revision }.sorted { $0.key < $1.key }
        for (revision, _) in covered { self.outOfOrder[revision] = nil }
        return covered.map(\.value)
    }

    /// The requests that wait for this message to be shown; nil: for any.
    mutating func takeDeferredAnswers(for sequence: SequenceNumber?) -> [RequestID] {
        guard !self.deferredAnswers.isEmpty else { return [] }
        let due = self.deferredAnswers.filter { sequence == nil || $0.sequence == sequence }
        self.deferredAnswers.removeAll { sequence == nil || $0.sequence == sequence }
        return due.map(\.request)
    }

    /// The pages that the feed has caught up with, or that have waited too long.
    mutating func takeReleasablePages(at now: Int64 = .min) -> [PageRequest] {
        let due = self.waitingPages.filter {
            $0.page!.revision <= self.revision || $0.deadline <= now
        }
        if !due.isEmpty {
            self.waitingPages.removeAll { page in due.contains { $0.context == page.context } }
        }
        return due
    }

    /// What waits for the feed may wait so much longer.
    mutating func extendPageDeadlines(by milliseconds: Int64) {
        for place in self.waitingPages.indices { self.waitingPages[place].deadline += milliseconds }
    }

    // MARK: Presence

    /// What of these changes the listeners have not been told; it counts as told.
    mutating func presenceChanges(in changes: [PresenceChange], at now: ClockReading)
        -> [PresenceChange]
    {
        if self.isCrowd {
            return self.presenceChangesAfterCrowd(changes.filter(\.isOnline), at: now)
        }
        let news = changes.filter { (self.knownOnline[$0.person.id] != nil) != $0.isOnline }
        self.recordPresence(news)
        return news
    }

    /// What listeners have to be told for them to know what the owner says of who is there.
    ///
    /// - Parameter newcomer: whom the owner has left out, because the answer is its own.
    mutating func presenceChanges(
        toReach entered: JoinResult, newcomer: UserID? = nil, at now: ClockReading
    ) -> [PresenceChange] {
        if entered.isCrowd {
            self.isCrowd = true
            return []
        }
        if self.isCrowd {
            return self.presenceChangesAfterCrowd(entered.present, newcomer: newcomer, at: now)
        }
        let come = entered.present.filter { self.knownOnline[$0.person.id] == nil }
        // Unless somebody is gone there are as many as before.
        let known =
            self.knownOnline.count + come.count
            - (newcomer.map { self.knownOnline[$0] == nil ? 0 : 1 } ?? 0)
        let news =
            (known > entered.present.count
                ? self.departures(missingFrom: entered.present, newcomer: newcomer, at: now) : [])
            + come
        self.recordPresence(news)
        return news
    }

    /// Everybody is named again: those who came in while it was a crowd know nobody.
    private mutating func presenceChangesAfterCrowd(
        _ present: [PresenceChange], newcomer: UserID? = nil, at now: ClockReading
    ) -> [PresenceChange] {
        self.isCrowd = false
        let news = self.departures(missingFrom: present, newcomer: newcomer, at: now) + present
        self.recordPresence(news)
        return news
    }

    private func departures(
        missingFrom present: [PresenceChange], newcomer: UserID?, at now: ClockReading
    ) -> [PresenceChange] {
        let online = Set(present.map(\.person.id))
        return self.knownOnline.values.filter { !online.contains($0.id) && $0.id != newcomer }
            .sorted { $0.id < $1.id }
            .map { PresenceChange(person: $0, isOnline: false, at: now.wall) }
    }

    /// The owner tells of a crowd: how many, and some of those who came and went.
    mutating func recordCrowd(_ changes: [PresenceChange]) {
        self.isCrowd = true
        self.recordPresence(changes)
        // Of a large crowd it is no longer known whom the listeners believe to be there.
        if self.knownOnline.count > Self.knownOnlineLimit { self.knownOnline = UserMap() }
    }

    private mutating func recordPresence(_ changes: [PresenceChange]) {
        for change in changes {
            self.knownOnline[change.person.id] = change.isOnline ? change.person : nil
        }
    }

    /// What the owner is told of who listens here. In order: simulations must run the same way every time.
    var currentAttachment: Attachment {
        let listeners = self.subscribers.values.sorted { $0.person.id < $1.person.id }
        return Attachment(
            present: listeners.lazy.filter { $0.connections > 0 }.map(\.person),
            joining: listeners.lazy.filter { $0.connections == 0 }.map(\.person),
            knownOnline: self.isCrowd ? [] : self.knownOnline.values.sorted { $0.id < $1.id },
            delivered: self.lastReports,
            revision: self.revision, head: self.deliveredThrough)
    }

    // MARK: Reports

    /// A socket of this user's has taken these messages.
    mutating func addReport(_ report: DeliveryReport) {
        if let last = self.reports.lastIndex(where: { $0.user == report.user }),
            self.reports[last].range.touches(report.range)
        {
            self.reports[last].range = self.reports[last].range.joined(with: report.range)
        } else if self.reports.count < Self.reportLimit {
            self.reports.append(report)
        }
        // Beyond the limit nobody is waiting for just this one: two of those who took a message are enough.
    }

    /// The reports have left; the last two are kept.
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
