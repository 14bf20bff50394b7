import Bytes
public import ChatModel

/// Edits, deletions, reactions and pins. Each reads the message from the store first, applies its
/// amendment to the newest state of the message, and writes the result.
extension Conversation {
    /// The lookups of one message that wait for the same answer of the store, so that requests for
    /// this message are executed in their order.
    struct PendingLookups: Sendable {
        var waiting: [MessageLookup] = []
        /// The newest state that the message got meanwhile. The answer may be older.
        var amended: Message?
    }

    /// Reads a message from the store to amend it. The number may be above the head, because
    /// another loop may have been the owner meanwhile.
    mutating func lookUp(
        _ sequence: SequenceNumber, for principal: Principal, _ lookup: MessageLookup,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        try self.checkAmendable(
            sequence, by: principal, isDeletion: lookup.isDeletion, orElsewhere: true)
        self.lookUp(sequence, lookup, into: &effects)
    }

    /// Whether this owner never assigned the number, but another owner may have.
    func mayExistElsewhere(_ sequence: SequenceNumber) -> Bool {
        self.rules.recovery.isEnabled && sequence > self.head
    }

    /// Throws unless the user may amend messages at all, and the message is retained or pinned.
    func checkAmendable(
        _ sequence: SequenceNumber, by principal: Principal, isDeletion: Bool = false,
        orElsewhere: Bool = false
    ) throws(ChatError) {
        let record = try self.checkedRecord(for: principal.person.id, orIf: principal.isAdmin)
        // An ended conversation is read-only for its users, but moderation must still be possible.
        guard record.endedAt == nil || isDeletion && principal.isAdmin else {
            throw .conversationEnded
        }
        if orElsewhere, self.mayExistElsewhere(sequence) { return }
        // The message is being stored. A client may have read it already, if other nodes read the
        // same store.
        if self.rules.recovery.isEnabled, sequence > self.storedHead, sequence <= self.head {
            throw .unavailable
        }
        guard sequence <= self.storedHead,
            sequence >= self.oldest || self.pinned(sequence) != nil
        else { throw .noSuchMessage(sequence) }
    }

    mutating func lookUp(
        _ sequence: SequenceNumber, _ lookup: MessageLookup,
        into effects: inout [ConversationEffect]
    ) {
        if self.pendingLookups[sequence] == nil {
            effects.append(.lookUp(sequence, isThread: sequence < self.oldest))
        }
        self.pendingLookups[sequence, default: PendingLookups()].waiting.append(lookup)
    }

    /// The store's answer to a lookup; nil if it no longer has the message.
    ///
    /// - Parameters:
    ///   - head: the newest message in the store.
    ///   - isThread: whether the message is the root of retained replies.
    public mutating func lookedUp(
        _ message: Message?, head: SequenceNumber, sequence: SequenceNumber,
        isThread: Bool = false, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard let lookups = self.pendingLookups.removeValue(forKey: sequence) else { return }
        // Deleted text must not come back with an older answer, and no amendment may be undone.
        let message = lookups.amended ?? message
        // Either another loop was the owner while this one was suspended, or the store has lost
        // acknowledged messages. The error "no such message" would be wrong, because a client would
        // then send the message a second time.
        let isForgotten =
            self.rules.recovery.isEnabled && head < sequence && sequence <= self.storedHead
        guard !isForgotten, message == nil || !self.mayExistElsewhere(sequence) else {
            self.refuse(lookups.waiting, of: sequence, because: .unavailable, into: &effects)
            effects.append(.invalidate)
            return
        }
        for lookup in lookups.waiting {
            self.apply(
                lookup, to: message, sequence, isThread: isThread, at: now, into: &effects)
        }
    }

    private mutating func apply(
        _ lookup: MessageLookup, to message: Message?, _ sequence: SequenceNumber,
        isThread: Bool, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        switch lookup {
        case .repeatedSend(let body, let origin):
            self.answerRepeatedSend(
                body, message, sequence: sequence, from: origin, at: now, into: &effects)
        case .amend(let amendment, let principal, let origin):
            self.amend(
                message, sequence, with: amendment, by: principal, from: origin, at: now,
                into: &effects)
        case .react:
            self.writeReactions(to: message, sequence, at: now, into: &effects)
        case .replyTarget:
            self.recordReplyTarget(
                message, sequence, isThread: isThread, at: now, into: &effects)
        }
    }

    /// The store could not look a message up: its requests may be repeated.
    public mutating func lookupFailed(
        sequence: SequenceNumber, because cause: ChatError = .unavailable,
        into effects: inout [ConversationEffect]
    ) {
        let lookups = self.pendingLookups.removeValue(forKey: sequence)?.waiting ?? []
        self.refuse(lookups, of: sequence, because: cause, into: &effects)
        // The sends that wait for the target of a reply are loaded again.
        if lookups.contains(where: \.isOfReplyTarget) { effects.append(.invalidate) }
    }

    private mutating func refuse(
        _ lookups: [MessageLookup], of sequence: SequenceNumber, because cause: ChatError,
        into effects: inout [ConversationEffect]
    ) {
        for lookup in lookups {
            switch lookup {
            case .react: self.refuseReactions(to: sequence, because: cause, into: &effects)
            case .replyTarget: break
            case .repeatedSend(_, let origin):
                self.subscribers.resetSendOrder(of: origin.loop)
                effects.append(.answer(.failed(cause), to: origin))
            case .amend(_, _, let origin):
                effects.append(.answer(.failed(cause), to: origin))
            }
        }
    }

    /// Refuses all lookups, because the stored state is discarded.
    mutating func abandonLookups(because cause: ChatError, into effects: inout [ConversationEffect])
    {
        // Sorted, so that simulations are reproducible.
        for sequence in self.pendingLookups.keys.sorted() {
            self.refuse(
                self.pendingLookups[sequence]?.waiting ?? [], of: sequence, because: cause,
                into: &effects)
        }
        self.pendingLookups = [:]
    }

    /// Records a stored amendment for the lookups in flight and for the list of pinned messages.
    mutating func recordAmended(_ message: Message) {
        self.pendingLookups[message.sequence]?.amended = message
        if message.isPinned || !self.pins.isEmpty { self.pins.updatePins(with: message) }
    }

    private mutating func amend(
        _ stored: Message?, _ sequence: SequenceNumber, with amendment: Amendment,
        by principal: Principal, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        do throws(ChatError) {
            // During the lookup the conversation may have ended, and the author may have left.
            try self.check(amendment, of: sequence, by: principal)
            let pending = self.newestPendingAmendment(of: sequence)
            // A pinned message may have left the history.
            guard
                let message = pending.flatMap({ self.pendingChanges[$0].amended }) ?? stored
                    ?? self.pinned(sequence)
            else { throw .noSuchMessage(sequence) }
            try self.check(amendment, of: message, by: principal)
            // The same change is done or pending: a deletion, or a retry of this request.
            let isDone = self.completed.contains(origin) && message.state != .deleted
            if isDone
                || (origin.isRetry || amendment == .deleted && pending != nil)
                    && message.isAmended(by: amendment)
            {
                if let pending {
                    self.pendingChanges[pending].addRequester(origin)
                } else {
                    effects.append(.answer(.amended(message), to: origin))
                }
                return
            }
            guard message.state != .deleted else { throw .messageDeleted(sequence) }
            guard !self.areWritesUnavailable else { throw self.unavailability }
            guard let amended = message.amended(by: amendment, revision: self.revision + 1) else {
                throw .notPinned(sequence)
            }
            try self.admitRepeat(
                of: amendment.repeatedBytes(of: amended), by: principal, from: origin, at: now)
            self.write(amended, amendment, from: [origin], at: now, into: &effects)
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
    }

    /// The position in `pendingChanges` of the newest state of a message that is being stored.
    func newestPendingAmendment(of sequence: SequenceNumber) -> Int? {
        self.pendingChanges.lastIndex { $0.amended?.sequence == sequence }
    }

    /// Writes a message after an amendment.
    mutating func write(
        _ amended: Message, _ amendment: Amendment, from origins: [RequestOrigin],
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        self.write(
            .amend(amended, amendment, at: amendment.isActivity ? now.wall : nil),
            then: .amended(amended, amendment), from: origins, into: &effects)
    }

    private func check(_ amendment: Amendment, of sequence: SequenceNumber, by principal: Principal)
        throws(ChatError)
    {
        switch amendment {
        case .edited, .deleted, .reacted:
            try self.checkAmendable(sequence, by: principal, isDeletion: amendment == .deleted)
        case .pinned: try self.checkPinning(of: sequence, by: principal)
        }
    }

    private func check(_ amendment: Amendment, of message: Message, by principal: Principal)
        throws(ChatError)
    {
        switch amendment {
        case .edited, .deleted:
            guard principal.isAdmin || message.body.author.id == principal.person.id else {
                throw .notAllowed("the author of a message or an admin")
            }
        case .pinned(let pin): if pin.isPinned { try self.checkPinCount(with: message) }
        case .reacted: break
        }
    }
}

extension Amendment {
    /// The bytes of the message that the event shows and the request did not carry. The event of
    /// reactions shows no more of the message than its number, and a deleted message has no text.
    fileprivate func repeatedBytes(of message: Message) -> Int {
        switch self {
        case .edited: message.body.metadata?.count ?? 0
        case .pinned: message.pageBytes
        case .deleted, .reacted: 0
        }
    }

    /// Whether it counts as activity, by which lists of conversations are sorted.
    fileprivate var isActivity: Bool {
        switch self {
        case .edited, .deleted: true
        case .reacted, .pinned: false
        }
    }
}

extension Message {
    /// Whether the amendment would change nothing that other users see.
    fileprivate func isAmended(by amendment: Amendment) -> Bool {
        switch amendment {
        case .edited(let content): self.state == .edited && self.body.content == content
        case .deleted: self.state == .deleted
        // A message that was pinned once remembers it.
        case .pinned(let pin):
            self.isPinned == pin.isPinned && self.body.annotations?.pin != nil
        case .reacted: false
        }
    }

    /// As `applying`, but an edit with the same text counts as an edit.
    fileprivate func amended(by amendment: Amendment, revision: Revision) -> Message? {
        if case .edited(let content) = amendment {
            return self.edited(to: content, revision: revision)
        }
        return self.applying(amendment, revision: revision)
    }
}
