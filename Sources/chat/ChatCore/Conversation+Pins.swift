import Bytes
import ChatModel

/// Pinned messages. The owner has all of them in memory.
extension Conversation {
    /// Pins a message, or ends its pin.
    mutating func setPin(
        _ isPinned: Bool, of sequence: SequenceNumber, by principal: Principal,
        from origin: RequestOrigin, at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        try self.checkPinning(of: sequence, by: principal, orElsewhere: true)
        // A later pin gets a later time, even if the wall clock is set back.
        let newest = self.pins.last?.body.annotations?.pin?.at.milliseconds ?? 0
        let time = Timestamp(milliseconds: max(now.wall.milliseconds, newest + 1))
        let amendment = Amendment.pinned(
            PinState(isPinned: isPinned, by: principal.person, at: time))
        self.lookUp(sequence, .amend(amendment, by: principal, origin), into: &effects)
    }

    /// Throws unless the user may pin messages, and the message is retained or pinned.
    func checkPinning(
        of sequence: SequenceNumber, by principal: Principal, orElsewhere: Bool = false
    ) throws(ChatError) {
        let record = try self.checkedRecord(for: principal.person.id, orIf: principal.isAdmin)
        guard record.endedAt == nil else { throw .conversationEnded }
        guard record.pinPolicy == .members || self.manages(principal) else {
            throw .notAllowed("the creator of the conversation or an admin")
        }
        try self.checkAmendable(sequence, by: principal, orElsewhere: orElsewhere)
    }

    /// Whether the user created the conversation or is an admin, of it or of the service.
    func manages(_ principal: Principal) -> Bool {
        principal.isAdmin || self.manages(principal.person.id)
    }

    func manages(_ user: UserID) -> Bool {
        self.isCreator(user)
            || self.members.memberNumber(of: user).map {
                self.members[$0].member.role == .admin
            } ?? false
    }

    func checkPinCount(with message: Message) throws(ChatError) {
        let pinned = Set(
            self.pins.map(\.sequence)
                + self.pendingChanges.compactMap(\.amended).filter(\.isPinned).map(\.sequence))
        guard pinned.contains(message.sequence) || pinned.count < PinState.limit else {
            throw .tooManyPins(limit: PinState.limit)
        }
    }

    /// A pinned message that the history has lost, for a lookup that does not find it.
    func pinned(_ sequence: SequenceNumber) -> Message? {
        self.pins.first { $0.sequence == sequence }
    }

    func answerPins(
        for principal: Principal, _ readAccess: ReadAccess, to origin: RequestOrigin,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        _ = try self.readableRecord(for: principal.person.id, readAccess)
        effects.append(.answer(.pins(self.pins.reversed()), to: origin))
    }
}

extension [Message] {
    /// Puts an amended message at its place in a list of pinned messages, or removes it.
    mutating func updatePins(with message: Message) {
        self.removeAll { $0.sequence == message.sequence }
        if message.isPinned { self = (self + [message]).sortedByPin() }
    }
}
