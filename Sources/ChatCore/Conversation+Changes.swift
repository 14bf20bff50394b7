import ChatModel

/// Changes of a conversation that are no messages: written first, announced when they are stored.
extension Conversation {
    /// Takes the next revision for a change that is no message, and remembers what is to be said once it is stored.
    mutating func write(
        _ change: Write.Change, then kind: PendingChange.Kind, from origin: RequestOrigin? = nil,
        into effects: inout [ConversationEffect]
    ) {
        self.revision += 1
        effects.append(.write(change, revision: self.revision, origin: nil))
        self.pendingChanges.append(
            PendingChange(
                revision: self.revision, kind: kind, requesters: origin.map { [$0] } ?? []))
    }

    /// It is stored: everybody hears of it, and whoever asked for it is answered.
    mutating func announce(
        _ change: PendingChange, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        defer {
            for founder in change.creationRequesters {
                self.answerDetails(to: founder, into: &effects)
            }
        }
        let asker = change.requesters.first
        let answer: ChatAnswer
        switch change.kind {
        case .created:
            effects.append(.event(.created, revision: change.revision, origin: nil))
            return
        case .member(let number, let isArrival):
            let event: ChatEvent =
                isArrival
                ? .joined(self.members[number].member) : .renamed(self.members[number].member)
            effects.append(.event(event, revision: change.revision, origin: nil))
            for asker in change.requesters {
                effects.append(.answer(self.joinAnswer(for: number, isNew: isArrival), to: asker))
            }
            return
        case .amended(let message):
            if message.state == .deleted, self.pendingLookups > 0 {
                self.deletedDuringLookup.append(message)
            }
            effects.append(
                .event(
                    message.state == .deleted ? .deleted(message) : .edited(message),
                    revision: change.revision, origin: asker))
            answer = .amended(message)
        case .left(let member, let at):
            effects.append(.event(.left(member, at: at), revision: change.revision, origin: asker))
            answer = .done
        case .ended(let user, let at):
            effects.append(
                .event(.ended(by: user, at: at), revision: change.revision, origin: asker))
            answer = .done
        }
        for asker in change.requesters.dropFirst() { effects.append(.answer(answer, to: asker)) }
    }
}
