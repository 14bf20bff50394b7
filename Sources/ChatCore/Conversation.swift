import Bytes
public import ChatModel

/// One conversation, as its owner holds it: who may do what, which number a message gets, who hears of it.
///
/// It decides and does nothing: every function takes what happened and appends what is to be done. Numbers are given
/// when a command comes, answers and events leave when the store has accepted, in the order of the revisions.
///
/// What the store knows (members, numbers) and what only the owner knows (who listens, who is present) are apart: when
/// a write has failed the first is forgotten and loaded again, and the listeners notice nothing.
public struct Conversation: Sendable {
    /// How much of what the store knows is known here.
    enum Knowledge: UInt8, Sendable {
        case nothing, loading
        /// All but the newest messages' senders.
        case withoutRecents
        case recalling, whole
    }

    enum Standing: UInt8, Sendable { case missing, active, ended }

    // What every message touches stands first, so that it shares few lines of the cache.
    var knowledge = Knowledge.nothing
    private(set) var standing = Standing.missing
    /// See `ConversationKey.isInbox`.
    let isInbox: Bool
    /// The owner says that the store takes no writes at the moment.
    public var isStoreAway = false
    /// The last number and revision given, and the last ones stored.
    var head: SequenceNumber = 0
    var revision: Revision = 0
    public internal(set) var storedHead: SequenceNumber = 0
    public internal(set) var storedRevision: Revision = 0
    var lastSentAt: Int64 = 0
    /// The record's `updatedAt`, which moves with every message that is stored; the record's own stands still.
    private(set) var updatedAt = Timestamp(milliseconds: 0)
    var members = MemberTable()
    var recents: RecentMessages
    /// Loops that hear every event.
    public internal(set) var listeners = ListenerLoops()
    /// Sends that repeat one that is on its way.
    var repeats: [Repeat] = []
    /// What the above takes.
    public static var hotBytes: Int { MemoryLayout<Self>.offset(of: \.rules)! }

    /// What the store may forget, oldest first.
    var held: [HeldChange] = []
    /// A write has failed since the conversation was last loaded.
    public internal(set) var hasFailedWrites = false
    /// What is held up to here is put together from more than one history.
    var mixedThrough: Revision = 0
    /// The newest change and message that anybody was ever told of, as far as this owner knows.
    var toldRevision: Revision = 0
    var toldHead: SequenceNumber = 0
    /// Until this is stored, what the store had forgotten is being written again; 0 when it is not.
    var restoringThrough: Revision = 0
    var restoring = Restoring()
    let rules: ConversationRules
    /// Nil while there is no such conversation.
    var record: ConversationRecord? {
        didSet { self.standing = self.record == nil ? .missing : self.record?.endedAt == nil ? .active : .ended }
    }
    var endedBy: UserID?
    /// The oldest message that the store had when the conversation was loaded.
    var loadedOldest: SequenceNumber = 1
    /// Changes on their way that are no messages, oldest first: hardly ever more than a few.
    var pending: [PendingChange] = []
    var waiting: [Waiting] = []
    /// Messages that are being looked up, and those that were deleted meanwhile.
    var searches = 0
    var deletedMeanwhile: [Message] = []
    var typists: [Typist] = []
    var presence = PresenceNews()
    var unstoredReads = UnstoredReads()
    var dirtyCursors: [UInt32] = []
    var cursorFlushDue: Int64 = 0
    private var wakeAt: Int64 = 0

    struct Waiting: Sendable {
        let input: ConversationInput
        let origin: Origin
        /// Of an offer: what the store lacks of it is on its way there.
        var isCompared = false
    }

    struct Repeat: Sendable {
        let sequence: SequenceNumber
        let body: MessageBody
        let origin: Origin
    }

    /// A conversation of which nothing is known: the first command makes it ask the store.
    public init(rules: ConversationRules, isInbox: Bool = false) {
        self.rules = rules
        self.isInbox = isInbox
        self.recents = RecentMessages(next: 1, limit: rules.limits.recentMessages)
    }

    /// The oldest message that can be read; head + 1 where there is none.
    var oldest: SequenceNumber {
        let history = self.rules.limits.history
        return history == 0 ? self.loadedOldest : max(self.loadedOldest, self.storedHead - history + 1)
    }

    /// Nobody hears it and nothing is under way: it may be dropped and loaded again when somebody asks.
    public var isIdle: Bool {
        self.listeners.isEmpty && self.revision == self.storedRevision && self.waiting.isEmpty && self.searches == 0
            && self.dirtyCursors.isEmpty && self.unstoredReads.isEmpty && self.presence.due.isEmpty && self.typists.isEmpty
            && self.knowledge != .loading && self.knowledge != .recalling
    }

    /// A message is about to be posted: what that will read is fetched. Mutating, for so it is called without a copy.
    public mutating func prefetch() {
        self.members.prefetch()
        self.recents.prefetch(self.head)
    }

    // MARK: What comes in

    public mutating func handle(_ input: ConversationInput, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) {
        if input.isOffer {
            self.offered(input, from: origin, into: &effects)
            return
        }
        guard self.knows(enoughFor: input) else {
            self.wait(input, origin, into: &effects)
            return
        }
        switch input {
        case .command(let command): self.obey(command, from: origin, at: now, into: &effects)
        case .leave(let user): self.leave(user, from: origin.loop, at: now, into: &effects)
        case .attach(let attachment): self.attach(attachment, from: origin, at: now, into: &effects)
        case .detach: self.detach(origin.loop, at: now, into: &effects)
        case .delivered(let user, let range): self.delivered(range, to: user, at: now, into: &effects)
        case .held: break
        }
    }

    private func knows(enoughFor input: ConversationInput) -> Bool {
        switch self.knowledge {
        case .whole: true
        case .withoutRecents: !input.needsRecents
        // What waits here are reports of deliveries alone, which a farewell may overtake.
        case .nothing: input.isFarewell
        // Everything waits, or a command would overtake another of the same client.
        case .loading, .recalling: false
        }
    }

    private mutating func wait(_ input: ConversationInput, _ origin: Origin, into effects: inout [ConversationEffect]) {
        // Farewells are always taken: they are no more than what came before, and nothing would make up for a lost one.
        guard self.waiting.count < ConversationRules.waitingLimit || input.isFarewell else {
            self.refuseForNow(origin, isSend: input.isSend, into: &effects)
            return
        }
        // Asked again before it was looked at, it is one request, which may have been done before.
        if origin.isRepeat, let place = self.waiting.firstIndex(where: { $0.origin.isSame(as: origin) }) {
            self.waiting[place] = Waiting(input: input, origin: origin)
        } else {
            self.waiting.append(Waiting(input: input, origin: origin))
        }
        switch self.knowledge {
        case .nothing:
            self.knowledge = .loading
            effects.append(.load)
        case .withoutRecents:
            self.knowledge = .recalling
            effects.append(.recall)
        case .loading, .recalling, .whole:
            break
        }
    }

    mutating func goOn(at now: Moment, into effects: inout [ConversationEffect]) {
        let waiting = self.waiting
        self.waiting = []
        // The first that has to wait again makes all behind it wait.
        for input in waiting {
            if input.isCompared {
                effects.append(.answer(.done, to: input.origin))
            } else {
                self.handle(input.input, from: input.origin, at: now, into: &effects)
            }
        }
    }

    private mutating func obey(_ command: ChatCommand, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) {
        do throws(ChatError) {
            switch command {
            case .post(let body): try self.post(body, from: origin, at: now, into: &effects)
            case .create(let founding): try self.create(founding, from: origin, at: now, into: &effects)
            case .enter(let entrance): try self.enter(entrance, listening: true, from: origin, at: now, into: &effects)
            case .join(let entrance): try self.enter(entrance, listening: false, from: origin, at: now, into: &effects)
            case .edit(let sequence, let content, let actor):
                try self.search(sequence, for: actor, .edit(content: content, by: actor, origin), into: &effects)
            case .delete(let sequence, let actor):
                try self.search(sequence, for: actor, .delete(by: actor, origin), into: &effects)
            case .read(let sequences, let user): try self.read(sequences, by: user, from: origin, at: now, into: &effects)
            case .readThrough(let sequence, let user):
                try self.read(through: sequence, by: user, from: origin, at: now, into: &effects)
            case .typing(let isTyping, let person):
                try self.typing(isTyping, by: person, at: now, into: &effects)
                effects.append(.answer(.done, to: origin))
            case .part(let user): try self.part(user, from: origin, at: now, into: &effects)
            case .end(let actor): try self.end(by: actor, from: origin, at: now, into: &effects)
            case .describe(let actor, let guests): try self.describe(for: actor, guests, from: origin, into: &effects)
            }
        } catch .unavailable {
            self.refuseForNow(origin, isSend: ConversationInput.command(command).isSend, into: &effects)
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
    }

    /// The record, for a member, or for somebody who is admitted otherwise.
    func checkedRecord(for user: UserID, orIf isAdmitted: Bool = false) throws(ChatError) -> ConversationRecord {
        guard let record = self.record else { throw .noSuchConversation }
        guard isAdmitted || self.members.member(user) != nil else { throw .notAMember }
        return record
    }

    // MARK: What the store says

    /// The conversation as the store has it; nil for one that is not there.
    public mutating func loaded(_ loaded: LoadedConversation?, at now: Moment, into effects: inout [ConversationEffect]) {
        guard self.knowledge == .loading else { return }
        let told = self.storedRevision
        let before = self.record
        // What is lost altogether is made again as it was.
        self.record = loaded?.record ?? (self.rules.hold > 0 && self.toldRevision > 0 ? before : nil)
        if let record = self.record { self.updatedAt = record.updatedAt }
        self.members.reload(loaded?.members ?? [])
        self.head = loaded?.head ?? 0
        self.storedHead = self.head
        self.revision = loaded?.revision ?? 0
        self.storedRevision = self.revision
        self.loadedOldest = loaded?.oldest ?? 1
        self.hasFailedWrites = false
        self.discardUnacknowledged()
        self.recents = RecentMessages(next: self.head + 1, limit: self.rules.limits.recentMessages)
        self.knowledge = self.head == 0 ? .whole : .withoutRecents
        if self.presence.bornAt == 0 { self.presence.bornAt = now.monotonic }
        // Something was stored of which nobody has been told.
        if self.storedRevision > told, !self.listeners.isEmpty { effects.append(.callAgain) }
        if self.hasToCompare(at: now) {
            self.knowledge = .loading
            self.askToCompare(at: now, isNewestEnough: true, into: &effects)
            return
        }
        self.held = []
        self.toldRevision = self.storedRevision
        self.toldHead = self.storedHead
        self.endRestoring(into: &effects)
        self.goOn(at: now, into: &effects)
    }

    /// What the store remembers of the newest messages.
    public mutating func remember(_ messages: [RecentMessage], at now: Moment, into effects: inout [ConversationEffect]) {
        guard self.knowledge == .recalling else { return }
        // The store is not what it was when the conversation was loaded. Looked at again a few times, it may just have lost its messages.
        if !self.areNewest(messages), self.rules.hold > 0, self.restoring.vainRecalls < Restoring.vainRecallLimit {
            self.restoring.vainRecalls += 1
            effects.append(.mistrust)
            return
        }
        self.restoring.vainRecalls = 0
        self.fillRecents(messages, at: now)
        self.knowledge = .whole
        self.goOn(at: now, into: &effects)
    }

    /// A change has been stored: answers and events leave.
    public mutating func stored(
        _ change: Write.Change, revision: Revision, asked: Origin?, at now: Moment, into effects: inout [ConversationEffect]
    ) {
        guard revision != 0 else {
            if case .cursors(let user, let read, let delivered) = change {
                self.cursorsStored(of: user, read: read, delivered: delivered, at: now, into: &effects)
            }
            return
        }
        self.storedRevision = revision
        self.toldRevision = max(self.toldRevision, revision)
        self.holdStored(change, revision, at: now)
        self.noteActivity(of: change)
        if case .message(let message) = change {
            self.storedHead = message.sequence
            self.toldHead = max(self.toldHead, message.sequence)
            if let event = Self.event(of: change) { effects.append(.event(event, revision: revision, asked: asked)) }
            if !self.repeats.isEmpty { self.answerRepeats(of: message, at: now, into: &effects) }
        } else if let first = self.pending.first, first.revision == revision {
            self.pending.removeFirst()
            self.announce(first, at: now, into: &effects)
        }
        if self.restoringThrough != 0, revision >= self.restoringThrough {
            self.restored(at: now, into: &effects)
        }
    }

    /// Exactly what the stores take for activity.
    private mutating func noteActivity(of change: Write.Change) {
        switch change {
        case .message(let message): self.updatedAt = message.sentAt
        case .amend(_, let time), .end(let time): self.updatedAt = time
        case .create(let record): self.updatedAt = record.updatedAt
        case .member, .remove, .cursors, .skip: break
        }
    }

    /// What is said of a change as soon as it is stored, where the change alone tells: of messages, which are nearly all there is.
    public static func event(of change: Write.Change) -> ChatEvent? {
        // What nobody has any more was shown long ago by everybody who ever will.
        guard case .message(let message) = change, message.state != .deleted else { return nil }
        return .posted(message)
    }

    /// The store has not accepted a change, or could not be asked: whoever waits may try again, and what the store
    /// knows is not known any more. Who listens and who is present stays.
    ///
    /// - Parameters:
    ///   - cause: the answer to what waits and has changed nothing. Listeners ask again whatever it is: their part may be mended meanwhile.
    ///   - written: the answer to changes that have left for the store.
    public mutating func abandon(
        because cause: ChatError = .unavailable, written: ChatError = .outcomeUnknown, at now: Moment,
        into effects: inout [ConversationEffect]
    ) {
        self.knowledge = .nothing
        self.listeners.forgetTurns()
        self.restoringThrough = 0
        self.restoring.isAwaiting = false
        self.restoring.changes = RestoredChanges()
        self.searches = 0
        self.deletedMeanwhile = []
        for change in self.pending {
            for asker in change.askers + change.founders { effects.append(.answer(.failed(written), to: asker)) }
        }
        self.pending = []
        self.abandonReads(because: cause, into: &effects)
        for again in self.repeats { effects.append(.answer(.failed(written), to: again.origin)) }
        self.repeats = []
        self.revision = self.storedRevision
        let waiting = self.waiting
        self.waiting = []
        for input in waiting {
            switch input.input {
            case .command: effects.append(.answer(.failed(cause), to: input.origin))
            case .attach: effects.append(.answer(.failed(.unavailable), to: input.origin))
            case .leave, .detach: self.handle(input.input, from: input.origin, at: now, into: &effects)
            case .delivered, .held: self.waiting.append(Waiting(input: input.input, origin: input.origin))
            }
        }
        if !self.waiting.isEmpty || self.hasFailedWrites {
            self.wake(at: now.monotonic + ConversationRules.cursorRetry, into: &effects)
        }
    }

    /// A write has failed: the store is looked at as soon as it can be, because it may have the write all the same, and listeners are to
    /// see it then.
    public mutating func writeFailed(
        because written: ChatError, at now: Moment, into effects: inout [ConversationEffect]
    ) {
        self.hasFailedWrites = true
        self.abandon(because: written == .damaged ? .damaged : .unavailable, written: written, at: now, into: &effects)
    }

    /// Another owns the conversation, or will: what only the owner says is taken back, and the listeners are sent there.
    public mutating func close(at now: Moment, into effects: inout [ConversationEffect]) {
        self.abandon(at: now, into: &effects)
        for typist in self.typists { effects.append(.event(.typing(typist.person, false), revision: 0, asked: nil)) }
        self.typists = []
        effects.append(.callAgain)
    }

    /// The newest messages' senders are forgotten until somebody asks: of a conversation that rests they are most of its memory.
    public mutating func rest() {
        guard self.knowledge == .whole, self.revision == self.storedRevision, self.dirtyCursors.isEmpty, self.unstoredReads.isEmpty,
            self.recents.range.count > 64
        else { return }
        self.recents = RecentMessages(next: self.head + 1, limit: self.rules.limits.recentMessages)
        self.knowledge = .withoutRecents
    }

    // MARK: Time

    /// What is due at this time is done. Called too early or once too often it does nothing.
    public mutating func tick(at now: Moment, into effects: inout [ConversationEffect]) {
        guard self.wakeAt != 0, self.wakeAt <= now.monotonic else { return }
        self.wakeAt = 0
        self.endTyping(at: now, into: &effects)
        self.announcePresence(at: now, into: &effects)
        self.askAgain(into: &effects)
        self.tickRestoring(at: now, into: &effects)
        self.flushCursors(at: now, into: &effects)
    }

    /// Reports of deliveries and moved cursors have nobody who asks again: without this they would wait, and keep the
    /// conversation in memory, until somebody happens to need it.
    private mutating func askAgain(into effects: inout [ConversationEffect]) {
        guard self.knowledge == .nothing, !self.waiting.isEmpty || !self.dirtyCursors.isEmpty || self.hasFailedWrites else { return }
        self.knowledge = .loading
        effects.append(.load)
    }

    /// Asks for a `tick` at this time, unless an earlier one has been asked for.
    mutating func wake(at time: Int64, into effects: inout [ConversationEffect]) {
        guard self.wakeAt == 0 || time < self.wakeAt else { return }
        self.wakeAt = time
        effects.append(.wake(at: time))
    }
}
