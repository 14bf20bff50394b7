import ChatModel

/// Changes other than messages: they are written first and announced when they are stored.
extension Conversation {
    /// Assigns the next revision to a change and records what to announce when it is stored.
    mutating func write(
        _ change: Write.Change, then kind: PendingChange.Kind, from origin: RequestOrigin? = nil,
        into effects: inout [ConversationEffect]
    ) {
        self.write(change, then: kind, from: origin.map { [$0] } ?? [], into: &effects)
    }

    /// - Parameter origins: the requests that cause the change, all of which get its answer.
    mutating func write(
        _ change: Write.Change, then kind: PendingChange.Kind, from origins: [RequestOrigin],
        into effects: inout [ConversationEffect]
    ) {
        self.revision += 1
        effects.append(.write(change, revision: self.revision, origin: nil))
        self.pendingChanges.append(
            PendingChange(revision: self.revision, kind: kind, requesters: origins))
    }

    /// Announces a stored change to the subscribers and answers its requesters.
    mutating func announce(
        _ change: PendingChange, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        defer {
            for requester in change.creationRequesters {
                self.answerDetails(to: requester, into: &effects)
            }
        }
        let requester = change.requesters.first
        let answer: ChatAnswer
        switch change.kind {
        case .created:
            effects.append(.event(.created, revision: change.revision, origin: nil))
            return
        case .member(let number, let isJoin):
            let event: ChatEvent =
                isJoin
                ? .joined(self.members[number].member) : .renamed(self.members[number].member)
            effects.append(.event(event, revision: change.revision, origin: nil))
            for (index, requester) in change.requesters.enumerated() {
                let isNew = isJoin && index == 0
                effects.append(.answer(self.joinAnswer(for: number, isNew: isNew), to: requester))
            }
            return
        case .amended(let message, let amendment):
            self.recordAmended(message)
            self.completed.record(change.requesters)
            effects.append(
                .event(
                    amendment.event(of: message), revision: change.revision, origin: requester))
            answer = .amended(message)
            if case .reacted = amendment {
                self.finishReactions(to: message.sequence, at: now, into: &effects)
            }
        case .left(let member, let at):
            effects.append(
                .event(.left(member, at: at), revision: change.revision, origin: requester))
            // Clients that know only ids would take the others of this id for gone, too.
            let others = self.presentGuests(withIDOf: member.user)
            if !others.isEmpty, !self.presence.isReportedAsCrowd {
                effects.append(
                    .event(
                        .presence(self.presenceChanges(of: others, at: now)), revision: 0,
                        origin: nil))
            }
            answer = .done
        case .updated(var record, let person):
            record.updatedAt = self.updatedAt
            self.completed.record(change.requesters)
            effects.append(
                .event(
                    .updated(record, by: person, rev: change.revision), revision: change.revision,
                    origin: nil))
            for requester in change.requesters { self.answerDetails(to: requester, into: &effects) }
            return
        case .ended(let user, let at):
            effects.append(
                .event(.ended(by: user, at: at), revision: change.revision, origin: requester))
            answer = .done
        }
        for requester in change.requesters.dropFirst() {
            effects.append(.answer(answer, to: requester))
        }
    }
}

extension Amendment {
    /// The event that announces it.
    fileprivate func event(of message: Message) -> ChatEvent {
        switch self {
        case .edited: .edited(message)
        case .deleted: .deleted(message)
        case .reacted: .reacted(message)
        case .pinned(let pin): pin.isPinned ? .pinned(message) : .unpinned(message)
        }
    }
}
