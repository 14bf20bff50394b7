import Bytes
public import ChatModel

/// Edits and deletions, and the look into the store that comes before each.
extension Conversation {
    /// Asks the store for a message that is to be amended, also for one above the head where another may have been the owner meanwhile.
    mutating func lookUp(
        _ sequence: SequenceNumber, for actor: Principal, _ search: MessageLookup,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        try self.checkExists(sequence, for: actor, orElsewhere: true)
        self.lookUp(sequence, search, into: &effects)
    }

    /// Whether a number was never given out here, and may have been elsewhere.
    private func mayExistElsewhere(_ sequence: SequenceNumber) -> Bool {
        self.rules.retention > 0 && sequence > self.head
    }

    private func checkExists(
        _ sequence: SequenceNumber, for actor: Principal, orElsewhere: Bool = false
    ) throws(ChatError) {
        let record = try self.checkedRecord(for: actor.person.id, orIf: actor.isAdmin)
        guard record.endedAt == nil else { throw .conversationEnded }
        if orElsewhere, self.mayExistElsewhere(sequence) { return }
        // It is being stored, and somebody may have read it in a store that others read as well.
        if self.rules.retention > 0, sequence > self.storedHead, sequence <= self.head {
            throw .unavailable
        }
        guard sequence >= self.oldest, sequence <= self.storedHead else {
            throw .noSuchMessage(sequence)
        }
    }

    mutating func lookUp(
        _ sequence: SequenceNumber, _ search: MessageLookup,
        into effects: inout [ConversationEffect]
    ) {
        self.pendingLookups += 1
        effects.append(.lookUp(sequence, search))
    }

    /// What the store said of a message that was looked up; nil when it has it no longer.
    ///
    /// - Parameter head: the newest message that the store has.
    public mutating func lookedUp(
        _ message: Message?, head: SequenceNumber, for search: MessageLookup,
        sequence: SequenceNumber, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        let deleted = self.deletedDuringLookup.first { $0.sequence == sequence }
        self.finishLookup()
        // This owner slept while another was it; or the store has forgotten what it had said to have. To say that there is no such message
        // would be wrong, and to send it again would make two.
        let isForgotten = self.rules.retention > 0 && head < sequence && sequence <= self.storedHead
        guard !isForgotten, message == nil || !self.mayExistElsewhere(sequence) else {
            self.refuseTemporarily(search.origin, isSend: search.isOfSend, into: &effects)
            effects.append(.invalidate)
            return
        }
        switch search {
        case .repeatedSend(let body, let origin):
            // It may have been deleted while the answer was on its way, and deleted words must not come back.
            self.answerRepeatedSend(
                body, deleted ?? message, sequence: sequence, from: origin, at: now, into: &effects)
        case .edit(let content, let actor, let origin):
            self.amend(
                deleted ?? message, sequence, by: actor, from: origin, at: now, into: &effects
            ) { message, revision in
                message.edited(to: content, revision: revision)
            }
        case .delete(let actor, let origin):
            self.amend(
                deleted ?? message, sequence, by: actor, from: origin, at: now, into: &effects
            ) { message, revision in
                message.deleted(revision: revision)
            }
        }
    }

    /// The store could not look a message up.
    public mutating func lookupFailed(
        for search: MessageLookup, into effects: inout [ConversationEffect]
    ) {
        self.finishLookup()
        self.refuseTemporarily(search.origin, isSend: search.isOfSend, into: &effects)
    }

    private mutating func finishLookup() {
        self.pendingLookups -= 1
        if self.pendingLookups == 0 { self.deletedDuringLookup = [] }
    }

    private mutating func amend(
        _ message: Message?, _ sequence: SequenceNumber, by actor: Principal,
        from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect], change: (Message, Revision) -> Message
    ) {
        do throws(ChatError) {
            // While the store was asked the conversation may have ended, and the author left.
            try self.checkExists(sequence, for: actor)
            guard let message else { throw .noSuchMessage(sequence) }
            guard actor.isAdmin || message.body.author.id == actor.person.id else {
                throw .notAllowed("the author of a message or an admin")
            }
            let amended = change(message, self.revision + 1)
            let isDeletion = amended.state == .deleted
            if let place = self.pendingChanges.lastIndex(where: { $0.amended?.sequence == sequence }
            ), let other = self.pendingChanges[place].amended {
                // The same is on its way: a deletion, or this very edit, asked for again.
                let isSame =
                    isDeletion
                    ? other.state == .deleted
                    : origin.isRetry && other.body.content == amended.body.content
                if isSame {
                    self.pendingChanges[place].addRequester(origin)
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
