import ChatModel

/// Changes of a conversation that are no messages: written first, announced when they are stored.
extension Conversation {
    /// Takes the next revision for a change that is no message, and remembers what is to be said once it is stored.
    mutating func write(
        _ change: Write.Change, then kind: PendingChange.Kind, from origin: Origin? = nil, into effects: inout [ConversationEffect]
    ) {
        self.revision += 1
        effects.append(.write(change, revision: self.revision, asked: nil))
        self.pending.append(PendingChange(revision: self.revision, kind: kind, askers: origin.map { [$0] } ?? []))
    }

    /// It is stored: everybody hears of it, and whoever asked for it is answered.
    mutating func announce(_ change: PendingChange, at now: Moment, into effects: inout [ConversationEffect]) {
        defer { for founder in change.founders { self.answerDescription(to: founder, into: &effects) } }
        let asker = change.askers.first
        let answer: ChatAnswer
        switch change.kind {
        case .created:
            effects.append(.event(.created, revision: change.revision, asked: nil))
            return
        case .member(let number, let isArrival):
            let event: ChatEvent = isArrival ? .joined(self.members[number].member) : .renamed(self.members[number].member)
            effects.append(.event(event, revision: change.revision, asked: nil))
            for asker in change.askers { effects.append(.answer(self.entered(number, isNew: isArrival), to: asker)) }
            return
        case .amended(let message):
            if message.state == .deleted, self.searches > 0 { self.deletedMeanwhile.append(message) }
            effects.append(
                .event(message.state == .deleted ? .deleted(message) : .edited(message), revision: change.revision, asked: asker))
            answer = .amended(message)
        case .left(let member, let at):
            effects.append(.event(.left(member, at: at), revision: change.revision, asked: asker))
            answer = .done
        case .ended(let user, let at):
            effects.append(.event(.ended(by: user, at: at), revision: change.revision, asked: asker))
            answer = .done
        }
        for asker in change.askers.dropFirst() { effects.append(.answer(answer, to: asker)) }
    }
}
