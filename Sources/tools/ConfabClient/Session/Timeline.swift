import EventLoop

/// The stored messages of a conversation: every number once, in order, each in its newest state.
///
/// `lastID` and `rev` are the point from which a new connection resumes. `rev` rises only with
/// changes that the server sent in order, never with fetched pages: a page may be newer than
/// changes that are still under way, and a resumed connection would then not repeat these.
struct Timeline {
    enum Phase: Equatable {
        /// The first join is unanswered.
        case joining
        /// The missed messages come in the answer to the join. Live messages wait.
        case catchingUp
        /// The server's history does not continue the messages; others follow.
        case reloading(ResetReason)
        case live
    }

    /// The highest number that was delivered or skipped; nil while none is known.
    private(set) var lastID: Int?
    /// The highest revision of the changes in order; nil while none is known.
    private(set) var rev: Int?
    /// The list; it has no gaps.
    var loaded: [KnownMessage] = []
    /// Since when messages wait for others with lower numbers; nil if none waits.
    private(set) var gapSince: MonotonicTime?
    private(set) var phase = Phase.joining
    /// A message that the server had when the client joined; nil while none is known.
    private var head: Int?
    /// When a message or page has arrived last.
    private var advancedAt = MonotonicTime(nanoseconds: 0)
    /// Messages whose turn has not come.
    var early: [Int: KnownMessage] = [:]
    /// Newer parts of messages that are not in the list.
    var changes: [Int: KnownMessage] = [:]
    var ownReactions = OwnReactions()
    /// Messages to which loaded ones reply and that are not loaded, in order.
    var unquoted: [Int] = []
    /// The newest changes of messages that are not loaded, which a new connection may repeat.
    var unloadedChanges = (rev: 0, reported: Set<String>())
    /// The client's user; nil until it is known.
    var user: String?
    private let windowCount: Int
    private var keptCount: Int

    /// How many messages may wait for others.
    static let earlyLimit = 1000
    /// A replay that pauses for longer has ended, or has to be fetched.
    static let stallTimeout = Duration.seconds(5)

    /// - Parameters:
    ///   - after: the last message and the last revision that the application has; nil to begin
    ///     with the newest messages.
    ///   - windowCount: how many of the newest messages the first join loads.
    ///   - keptCount: how many of the newest messages are retained, without older pages.
    init(
        after position: (id: Int, rev: Int?)? = nil, windowCount: Int = 50, keptCount: Int = 1000
    ) {
        self.lastID = position?.id
        self.rev = position?.rev
        self.windowCount = windowCount
        self.keptCount = keptCount
    }

    /// Whether messages are delivered as they arrive.
    var isLive: Bool { self.phase == .live }

    /// Whether all messages from before the join are delivered.
    var isCaughtUp: Bool { self.phase == .live && (self.lastID ?? 0) >= self.head ?? 0 }

    /// Whether so many live messages wait for the missed ones that the connection must be dropped.
    var isFull: Bool {
        self.phase == .catchingUp && self.early.count >= Self.earlyLimit
    }

    /// The page that older messages are before; nil while no messages are known.
    var oldestID: Int? { self.loaded.first?.message.id ?? self.lastID.map { $0 + 1 } }

    /// The loaded messages, in order.
    var messages: [ChatMessage] { self.loaded.map(\.message) }

    func message(_ id: Int) -> ChatMessage? {
        self.index(of: id).map { self.loaded[$0].message }
    }

    // MARK: Joining

    /// Starts over on a new connection.
    ///
    /// - Parameter replays: whether the server sends the missed messages unasked, before live ones.
    mutating func connectionOpened(replays: Bool, at now: MonotonicTime) {
        self.head = nil
        self.gapSince = nil
        self.advancedAt = now
        self.early = [:]
        self.phase = self.lastID == nil ? .joining : replays ? .live : .catchingUp
    }

    mutating func joined(_ answer: JoinAnswer, at now: MonotonicTime) -> [ConversationEvent] {
        self.advancedAt = now
        switch answer {
        case .newest(let messages, let rev): return self.load(messages, rev, at: now)
        case .missed(let messages): return self.catchUp(messages, at: now)
        case .replaying(let head):
            self.head = head
            if self.phase == .catchingUp { self.phase = .live }
            let events = self.finishReload(at: now)
            return events + self.deliverDue(at: now)
        case .withoutHistory:
            switch self.phase {
            case .joining: return self.load([], nil, at: now, continuesAfter: self.lowestEarly - 1)
            case .reloading(.replaced):
                return self.load([], nil, at: now, continuesAfter: self.head ?? 0)
            default: return []
            }
        }
    }

    private var lowestEarly: Int { self.early.keys.min() ?? 1 }

    /// Replaces everything by the newest messages. Live messages count as new, even if the page
    /// contains them too.
    private mutating func load(
        _ page: [ChatMessage], _ rev: Int?, at now: MonotonicTime, continuesAfter last: Int? = nil
    ) -> [ConversationEvent] {
        let reason: ResetReason
        switch self.phase {
        case .joining: reason = .opened
        case .reloading(.replaced): reason = .replaced
        default: return []
        }
        let after = self.lastID
        self.head = last ?? page.last?.id ?? 0
        let window = page.filter { $0.id <= self.earlyFloor }
        self.loaded = []
        for message in window.suffix(self.windowCount) {
            self.append(self.newest(self.known(message, isFetched: true)))
        }
        // Without any message the position stays unknown where the protocol does not report it.
        self.lastID =
            last == 0 && self.early.isEmpty ? nil : last ?? min(page.last?.id ?? 0, self.earlyFloor)
        self.rev = rev
        self.phase = .live
        return [.reset(reason, messages: self.messages, after: after)] + self.deliverDue(at: now)
    }

    private var earlyFloor: Int { (self.early.keys.min() ?? .max) - 1 }

    private mutating func catchUp(_ page: [ChatMessage], at now: MonotonicTime)
        -> [ConversationEvent]
    {
        guard self.phase == .catchingUp, let lastID = self.lastID else { return [] }
        self.phase = .live
        var events: [ConversationEvent] = []
        for message in page {
            let known = self.known(message, isFetched: true)
            if message.id <= lastID {
                events += self.apply(known)
            } else {
                self.merge(known)
            }
        }
        if let first = page.first(where: { $0.id > lastID })?.id, first > lastID + 1,
            self.early[lastID + 1] == nil
        {
            return events + self.skipGap(at: now)
        }
        return events + self.deliverDue(at: now)
    }

    // MARK: Live messages

    /// Accepts a message. Returns the events for the messages whose turn it is.
    ///
    /// The answer to a repeated send may arrive before earlier messages of other users.
    mutating func receive(_ message: ChatMessage, at now: MonotonicTime) -> [ConversationEvent] {
        self.advancedAt = now
        let known = self.known(message, isFetched: false)
        guard self.phase == .live else {
            self.merge(known)
            // Without a history, live messages are better than none.
            if self.phase == .joining, self.early.count >= Self.earlyLimit {
                return self.load([], nil, at: now, continuesAfter: self.lowestEarly - 1)
            }
            return self.finishReload(at: now)
        }
        let lastID = self.lastID ?? message.id - 1
        self.lastID = lastID
        if message.id <= lastID { return self.apply(known) }
        let isNext = message.id == lastID + 1
        if isNext, !message.isEdited, !message.isDeleted, !message.wasChanged {
            self.raise(message.rev)
        }
        if isNext || self.early.count < Self.earlyLimit { self.merge(known) }
        return self.deliverDue(at: now)
    }

    /// Raises the progress of an own message. Returns false if it is not loaded, or is further.
    mutating func advance(_ id: Int, to state: MessageState) -> Bool {
        guard let index = self.index(of: id), self.loaded[index].message.isOwn,
            self.loaded[index].message.state < state
        else { return false }
        self.loaded[index].message.state = state
        return true
    }

    // MARK: Pages

    /// Adds an older page in front.
    mutating func prepend(_ page: [ChatMessage]) {
        guard let oldestID = self.oldestID else { return }
        let older = page.filter { $0.id < oldestID }.map {
            self.newest(self.known($0, isFetched: true))
        }
        self.keptCount += older.count
        self.loaded = older + self.loaded
        for message in older {
            self.unquoted.removeAll { $0 == message.message.id }
            self.quote(message.message)
        }
    }

    /// Whether a page after the last message must be fetched.
    func hasGap(at now: MonotonicTime, for time: Duration) -> Bool {
        guard self.phase == .live else { return false }
        if let gapSince = self.gapSince { return now.since(gapSince) >= time }
        return !self.isCaughtUp && now.since(self.advancedAt) >= Self.stallTimeout
    }

    /// Accepts the page after the last message. What the page lacks is no longer available.
    mutating func fill(_ page: [ChatMessage], at now: MonotonicTime) -> [ConversationEvent] {
        self.advancedAt = now
        guard self.phase == .live, let lastID = self.lastID else { return [] }
        for message in page where message.id > lastID {
            self.merge(self.known(message, isFetched: true))
        }
        if page.isEmpty { self.head = nil }
        let events = self.deliverDue(at: now)
        return self.lastID == lastID && !self.early.isEmpty ? self.skipGap(at: now) : events
    }

    /// Continues with the waiting messages, without those they wait for.
    mutating func skipGap(at now: MonotonicTime) -> [ConversationEvent] {
        let after = self.lastID
        guard let lowest = self.early.keys.min() else { return [] }
        self.loaded = []
        self.lastID = lowest - 1
        _ = self.deliverDue(at: now)
        return [.reset(.truncated, messages: self.messages, after: after)]
    }

    // MARK: Another history

    /// The server no longer has messages or changes after the position. It sends all messages
    /// that it has, from `oldest` on.
    mutating func truncated(from oldest: Int, at now: MonotonicTime) -> [ConversationEvent] {
        guard self.lastID != nil else { return [] }
        self.advancedAt = now
        self.early = self.early.filter { $0.key >= oldest }
        self.phase = .reloading(.truncated)
        return self.finishReload(at: now)
    }

    /// The server has another history, for instance a restored backup. Returns whether the newest
    /// messages must be requested.
    mutating func replaced(head: Int) -> Bool {
        guard self.lastID != nil else { return false }
        self.early = [:]
        self.changes = [:]
        self.ownReactions = OwnReactions()
        self.unquoted = []
        self.unloadedChanges = (0, [])
        self.head = head
        self.phase = .reloading(.replaced)
        return true
    }

    /// Completes a replay after `history truncated` whose end the server does not report.
    mutating func tick(at now: MonotonicTime) -> [ConversationEvent] {
        guard self.phase == .reloading(.truncated),
            now.since(self.advancedAt) >= Self.stallTimeout
        else { return [] }
        self.head = self.early.keys.max() ?? 0
        return self.finishReload(at: now)
    }

    private mutating func finishReload(at now: MonotonicTime) -> [ConversationEvent] {
        guard self.phase == .reloading(.truncated), let head = self.head,
            head == 0 || self.early[head] != nil
        else { return [] }
        let after = self.lastID
        self.phase = .live
        self.loaded = []
        self.rev = nil
        if let lowest = self.early.keys.min() { self.lastID = lowest - 1 }
        // Later messages than the head are new.
        var later = self.early.filter { $0.key > head }
        self.early = self.early.filter { $0.key <= head }
        _ = self.deliverDue(at: now)
        let window = self.messages
        swap(&self.early, &later)
        return [.reset(.truncated, messages: window, after: after)] + self.deliverDue(at: now)
    }

    // MARK: Parts

    private mutating func deliverDue(at now: MonotonicTime) -> [ConversationEvent] {
        var events: [ConversationEvent] = []
        while let lastID = self.lastID, let next = self.early.removeValue(forKey: lastID + 1) {
            self.lastID = next.message.id
            events.append(.message(self.append(self.newest(next))))
        }
        if self.loaded.count > self.keptCount {
            self.loaded.removeFirst(self.loaded.count - self.keptCount)
        }
        self.gapSince = self.early.isEmpty ? nil : self.gapSince ?? now
        return events
    }

    mutating func merge(_ message: KnownMessage) {
        let id = message.message.id
        guard self.early[id]?.merge(message) == nil else { return }
        self.early[id] = message
    }

    /// The message in its newest known state.
    private mutating func newest(_ message: KnownMessage) -> KnownMessage {
        var message = message
        if let change = self.changes.removeValue(forKey: message.message.id) {
            message.merge(change)
        }
        return message
    }

    mutating func raise(_ rev: Int) {
        if rev > 0 { self.rev = max(self.rev ?? 0, rev) }
    }

    func index(of id: Int) -> Int? {
        // The list has no gaps.
        guard let first = self.loaded.first?.message.id, id >= first,
            id - first < self.loaded.count
        else { return nil }
        return id - first
    }
}
