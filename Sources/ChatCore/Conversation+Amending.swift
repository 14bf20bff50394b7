import Bytes
public import ChatModel

/// Edits and deletions. Each reads the message from the store first.
extension Conversation {
    /// Reads a message from the store to amend it. The number may be above the head, because
    /// another loop may have been the owner meanwhile.
    mutating func lookUp(
        _ sequence: SequenceNumber, for principal: Principal, _ lookup: MessageLookup,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        try self.checkExists(
            sequence, for: principal, isDeletion: lookup.isDeletion, orElsewhere: true)
        self.lookUp(sequence, lookup, into: &effects)
    }

    /// Whether this owner never assigned the number, but another owner may have.
    private func mayExistElsewhere(_ sequence: SequenceNumber) -> Bool {
        self.rules.retention > 0 && sequence > self.head
    }

    private func checkExists(
        _ sequence: SequenceNumber, for principal: Principal, isDeletion: Bool,
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
        if self.rules.retention > 0, sequence > self.storedHead, sequence <= self.head {
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
        self.pendingLookups += 1
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
        let deleted = self.deletedDuringLookup.first { $0.sequence == sequence }
        self.finishLookup()
        // Either another loop was the owner while this one was suspended, or the store has lost
        // acknowledged messages. The error "no such message" would be wrong, because a client would
        // then send the message a second time.
        let isForgotten = self.rules.retention > 0 && head < sequence && sequence <= self.storedHead
        guard !isForgotten, message == nil || !self.mayExistElsewhere(sequence) else {
            self.refuseTemporarily(lookup.origin, isSend: lookup.isOfSend, into: &effects)
            effects.append(.invalidate)
            return
        }
        switch lookup {
        case .repeatedSend(let body, let origin):
            // The message may have been deleted while the answer was in flight. Deleted text must
            // not come back.
            self.answerRepeatedSend(
                body, deleted ?? message, sequence: sequence, from: origin, at: now, into: &effects)
        case .edit(let content, let principal, let origin):
            self.amend(
                deleted ?? message, sequence, by: principal, from: origin, at: now, into: &effects
            ) { message, revision in
                message.edited(to: content, revision: revision)
            }
        case .delete(let principal, let origin):
            self.amend(
                deleted ?? message, sequence, by: principal, from: origin, at: now,
                isDeletion: true, into: &effects
            ) { message, revision in
                message.deleted(revision: revision)
            }
        }
    }

    /// The store could not look a message up.
    public mutating func lookupFailed(
        for lookup: MessageLookup, into effects: inout [ConversationEffect]
    ) {
        self.finishLookup()
        self.refuseTemporarily(lookup.origin, isSend: lookup.isOfSend, into: &effects)
    }

    private mutating func finishLookup() {
        self.pendingLookups -= 1
        if self.pendingLookups == 0 { self.deletedDuringLookup = [] }
    }

    private mutating func amend(
        _ message: Message?, _ sequence: SequenceNumber, by principal: Principal,
        from origin: RequestOrigin, at now: ClockReading, isDeletion: Bool = false,
        into effects: inout [ConversationEffect], change: (Message, Revision) -> Message
    ) {
        do throws(ChatError) {
            // During the lookup the conversation may have ended, and the author may have left.
            try self.checkExists(sequence, for: principal, isDeletion: isDeletion)
            guard let message else { throw .noSuchMessage(sequence) }
            guard principal.isAdmin || message.body.author.id == principal.person.id else {
                throw .notAllowed("the author of a message or an admin")
            }
            let amended = change(message, self.revision + 1)
            if let index = self.pendingChanges.lastIndex(where: { $0.amended?.sequence == sequence }
            ), let other = self.pendingChanges[index].amended {
                // The same change is pending: a deletion, or a retry of this edit.
                let isSame =
                    isDeletion
                    ? other.state == .deleted
                    : origin.isRetry && other.body.content == amended.body.content
                if isSame {
                    self.pendingChanges[index].addRequester(origin)
                    return
                }
                guard other.state != .deleted else { throw .messageDeleted(sequence) }
            } else if origin.isRetry, message.state == amended.state,
                isDeletion || message.body.content == amended.body.content
            {
                effects.append(.answer(.amended(message), to: origin))
                return
            }
            guard message.state != .deleted else { throw .messageDeleted(sequence) }
            guard !self.areWritesUnavailable else { throw .unavailable }
            self.write(
                .amend(amended, at: now.wall), then: .amended(amended), from: origin, into: &effects
            )
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
    }
}
