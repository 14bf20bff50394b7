public import ChatModel

/// One conversation, as its owner holds it: who may do what, which number a message gets, who hears of it.
///
/// It decides and does nothing: every function takes what happened and appends what is to be done. Numbers are given
/// when a command comes, answers and events leave when the store has accepted, in the order of the revisions.
public struct Conversation: Sendable {
    public let key: ConversationKey
    let limits: ChatLimits
    /// Nil while there is no such conversation.
    var record: ConversationRecord?
    var members: MemberTable
    /// The last number and revision given, and the last ones stored.
    var head: SequenceNumber
    var revision: Revision
    public internal(set) var storedHead: SequenceNumber
    public internal(set) var storedRevision: Revision
    /// The oldest message that the store had when the conversation was loaded.
    var loadedOldest: SequenceNumber
    var lastSentAt: Int64 = 0
    var pending = PendingChanges()
    /// Nil until the store has been asked.
    var recents: RecentMessages?
    var waitingForRecents: [Waiting] = []
    /// Loops that hear every event.
    public internal(set) var interested: [OwnerID] = []
    var typists: [Typist] = []
    var presence = PresenceNews()
    var dirtyCursors: [UInt32] = []
    var cursorFlushDue: Int64 = 0
    private var wakeAt: Int64 = 0

    struct Waiting: Sendable {
        let input: ConversationInput
        let origin: Origin
    }

    /// The conversation as the store has it; nil for one that is not there.
    public init(key: ConversationKey, loaded: LoadedConversation?, limits: ChatLimits) {
        self.key = key
        self.limits = limits
        self.record = loaded?.record
        self.members = MemberTable(loaded?.members ?? [])
        self.head = loaded?.head ?? 0
        self.storedHead = self.head
        self.revision = loaded?.revision ?? 0
        self.storedRevision = self.revision
        self.loadedOldest = loaded?.oldest ?? 1
        if self.head == 0 { self.recents = RecentMessages(next: 1, limit: limits.recentMessages) }
    }

    /// The oldest message that can be read; head + 1 where there is none.
    var oldest: SequenceNumber {
        self.limits.history == 0 ? self.loadedOldest : max(self.loadedOldest, self.storedHead - self.limits.history + 1)
    }

    /// Nobody hears it and nothing is under way: it may be dropped and loaded again when somebody asks.
    public var isIdle: Bool {
        self.interested.isEmpty && self.pending.isEmpty && self.waitingForRecents.isEmpty && self.dirtyCursors.isEmpty
            && self.presence.due.isEmpty && self.typists.isEmpty
    }

    public mutating func handle(_ input: ConversationInput, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) {
        if input.needsRecents, self.recents == nil, self.record != nil {
            if self.waitingForRecents.isEmpty { effects.append(.recall) }
            self.waitingForRecents.append(Waiting(input: input, origin: origin))
            return
        }
        switch input {
        case .command(let command): self.obey(command, from: origin, at: now, into: &effects)
        case .leave(let user): self.leave(user, from: origin.loop, at: now, into: &effects)
        case .attach(let attachment): self.attach(attachment, from: origin, at: now, into: &effects)
        case .detach: self.detach(origin.loop, at: now, into: &effects)
        case .delivered(let user, let range): self.delivered(range, to: user, at: now, into: &effects)
        }
    }

    private mutating func obey(_ command: ChatCommand, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) {
        do throws(ChatError) {
            switch command {
            case .enter(let entrance): try self.enter(entrance, listening: true, from: origin, at: now, into: &effects)
            case .join(let entrance): try self.enter(entrance, listening: false, from: origin, at: now, into: &effects)
            case .post(let body): try self.post(body, from: origin, at: now, into: &effects)
            case .edit(let sequence, let content, let actor):
                try self.checkExists(sequence, for: actor)
                effects.append(.find(sequence, .edit(content: content, by: actor, origin)))
            case .delete(let sequence, let actor):
                try self.checkExists(sequence, for: actor)
                effects.append(.find(sequence, .delete(by: actor, origin)))
            case .read(let sequences, let user): try self.read(sequences, by: user, from: origin, at: now, into: &effects)
            case .typing(let isTyping, let person):
                try self.typing(isTyping, by: person, at: now, into: &effects)
                effects.append(.answer(.done, to: origin))
            case .part(let user): try self.part(user, from: origin, at: now, into: &effects)
            case .end(let actor): try self.end(by: actor, from: origin, at: now, into: &effects)
            case .describe(let actor): try self.describe(for: actor, from: origin, into: &effects)
            }
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
    }

    /// The record, for a member or an admin.
    func checkedRecord(for user: UserID, isAdmin: Bool = false) throws(ChatError) -> ConversationRecord {
        guard let record = self.record else { throw .noSuchConversation }
        guard isAdmin || self.members.member(user) != nil else { throw .notAMember }
        return record
    }

    /// Takes the next revision for a change and remembers what is to be said once it is stored.
    mutating func write(
        _ change: Write.Change, then kind: PendingChange.Kind, from origin: Origin? = nil, into effects: inout [ConversationEffect]
    ) {
        self.revision += 1
        effects.append(.write(change, revision: self.revision))
        self.pending.append(PendingChange(revision: self.revision, kind: kind, origin: origin))
    }

    /// The store has accepted everything up to this revision: answers and events leave.
    public mutating func stored(through revision: Revision, at now: Moment, into effects: inout [ConversationEffect]) {
        while let change = self.pending.popFirst(through: revision) {
            self.storedRevision = change.revision
            self.announce(change, at: now, into: &effects)
        }
    }

    /// The store has not accepted: whoever waits may try again. The conversation is of no further use; its next
    /// owner, perhaps this loop, loads it afresh.
    public mutating func abandon(into effects: inout [ConversationEffect]) {
        while let change = self.pending.popFirst(through: .max) {
            for origin in change.askers { effects.append(.answer(.failed(.unavailable), to: origin)) }
        }
        for waiting in self.waitingForRecents { effects.append(.answer(.failed(.unavailable), to: waiting.origin)) }
        self.waitingForRecents = []
    }

    private mutating func announce(_ change: PendingChange, at now: Moment, into effects: inout [ConversationEffect]) {
        switch change.kind {
        case .created:
            effects.append(.event(.created, revision: change.revision, asked: nil))
        case .posted(let message):
            self.storedHead = message.sequence
            effects.append(.event(.posted(message), revision: change.revision, asked: change.origin))
        case .amended(let message):
            let event: ChatEvent = message.state == .deleted ? .deleted(message) : .edited(message)
            effects.append(.event(event, revision: change.revision, asked: change.origin))
        case .member(let number, let isArrival):
            let event: ChatEvent = isArrival ? .joined(self.members[number].member) : .renamed(self.members[number].member)
            effects.append(.event(event, revision: change.revision, asked: nil))
            for origin in change.askers { effects.append(.answer(self.entered(number), to: origin)) }
            return
        case .left(let member, let at):
            effects.append(.event(.left(member, at: at), revision: change.revision, asked: change.origin))
        case .ended(let user, let at):
            effects.append(.event(.ended(by: user, at: at), revision: change.revision, asked: change.origin))
        }
        for origin in change.repeats {
            if case .posted(let message) = change.kind { effects.append(.answer(.posted(message), to: origin)) }
        }
    }

    /// What is due at this time is done.
    public mutating func tick(at now: Moment, into effects: inout [ConversationEffect]) {
        self.wakeAt = 0
        self.endTyping(at: now, into: &effects)
        self.announcePresence(at: now, into: &effects)
        self.flushCursors(at: now, into: &effects)
    }

    /// Asks for a `tick` at this time, unless an earlier one has been asked for.
    mutating func wake(at time: Int64, into effects: inout [ConversationEffect]) {
        guard self.wakeAt == 0 || time < self.wakeAt else { return }
        self.wakeAt = time
        effects.append(.wake(at: time))
    }
}
