import Bytes
public import ChatModel

/// Edits, deletions, reactions and pins. Each reads the message from the store first, applies its
/// amendment to the newest state of the message, and writes the result.
extension Conversation {
    /// The lookups of one message that have no answer yet.
    struct PendingLookups: Sendable {
        var count = 0
        /// The newest state that the message got meanwhile. An answer may be older.
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

    /// Throws unless the user may amend messages at all, and the message is retained.
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
        guard sequence >= self.oldest, sequence <= self.storedHead else {
            throw .noSuchMessage(sequence)
        }
    }

    mutating func lookUp(
        _ sequence: SequenceNumber, _ lookup: MessageLookup,
        into effects: inout [ConversationEffect]
    ) {
        self.pendingLookups[sequence, default: PendingLookups()].count += 1
        effects.append(.lookUp(sequence, lookup))
    }

    /// The store's answer to a lookup; nil if it no longer has the message.
    ///
    /// - Parameter head: the newest message in the store.
    public mutating func lookedUp(
        _ message: Message?, head: SequenceNumber, for lookup: MessageLookup,
        sequence: SequenceNumber, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        let message = self.finishLookup(of: sequence) ?? message
        // Either another loop was the owner while this one was suspended, or the store has lost
        // acknowledged messages. The error "no such message" would be wrong, because a client would
        // then send the message a second time.
        let isForgotten =
            self.rules.recovery.isEnabled && head < sequence && sequence <= self.storedHead
        guard !isForgotten, message == nil || !self.mayExistElsewhere(sequence) else {
            self.refuse(lookup, of: sequence, into: &effects)
            effects.append(.invalidate)
            return
        }
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
            self.recordReplyTarget(message, sequence, at: now, into: &effects)
        }
    }

    /// The store could not look a message up.
    public mutating func lookupFailed(
        for lookup: MessageLookup, sequence: SequenceNumber,
        into effects: inout [ConversationEffect]
    ) {
        _ = self.finishLookup(of: sequence)
        self.refuse(lookup, of: sequence, into: &effects)
    }

    /// Refuses the requests of a lookup temporarily.
    private mutating func refuse(
        _ lookup: MessageLookup, of sequence: SequenceNumber,
        into effects: inout [ConversationEffect]
    ) {
        switch lookup {
        case .react: self.refuseReactions(to: sequence, into: &effects)
        case .replyTarget: effects.append(.invalidate)
        case .repeatedSend, .amend:
            guard let origin = lookup.origin else { return }
            self.refuseTemporarily(origin, isSend: lookup.isOfSend, into: &effects)
        }
    }

    /// Ends a lookup.
    ///
    /// - Returns: the state that the message got during the lookup. Deleted text must not come back
    ///   with an older answer, and no amendment may be undone.
    private mutating func finishLookup(of sequence: SequenceNumber) -> Message? {
        guard var lookups = self.pendingLookups[sequence] else { return nil }
        lookups.count -= 1
        self.pendingLookups[sequence] = lookups.count == 0 ? nil : lookups
        return lookups.amended
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
            let pending = self.pendingChanges.lastIndex { $0.amended?.sequence == sequence }
            // A pinned message may have left the history.
            guard
                let message = pending.flatMap({ self.pendingChanges[$0].amended }) ?? stored
                    ?? self.pinned(sequence)
            else { throw .noSuchMessage(sequence) }
            try self.check(amendment, of: message, by: principal)
            // The same change is done or pending: a deletion, or a retry of this request.
            if origin.isRetry || amendment == .deleted && pending != nil,
                message.isAmended(by: amendment)
            {
                if let pending {
                    self.pendingChanges[pending].addRequester(origin)
                } else {
                    effects.append(.answer(.amended(message), to: origin))
                }
                return
            }
            guard message.state != .deleted else { throw .messageDeleted(sequence) }
            guard !self.areWritesUnavailable else { throw .unavailable }
            guard let amended = message.amended(by: amendment, revision: self.revision + 1) else {
                throw .notPinned(sequence)
            }
            self.write(amended, amendment, from: [origin], at: now, into: &effects)
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
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
        case .pinned(let pin): self.isPinned == pin.isPinned
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
