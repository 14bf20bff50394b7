import Bytes
import ChatModel

/// What recovery has to know of each kind of change. A new kind of change answers these questions
/// here; no other code of recovery names a kind.
extension Write.Change {
    /// The message that the change wrote or amended.
    var message: Message? {
        switch self {
        case .message(let message), .amend(let message, _, _): message
        case .create, .member, .remove, .update, .cursors, .end, .skip: nil
        }
    }

    /// The message that the change wrote.
    var posted: Message? {
        if case .message(let message) = self { message } else { nil }
    }

    /// Whether subscribers that lack the change learn of it only when they attach again. A change
    /// that is written again causes no event, unless it is a message.
    var needsReattach: Bool {
        switch self {
        // A subscriber that is no longer a member must not receive more.
        case .amend, .remove, .update, .end: true
        case .member(let member): !member.role.isMember
        case .create, .message, .cursors, .skip: false
        }
    }

    /// Whether the change, with this revision, is in the store.
    func match(
        _ revision: Revision, in state: HistoryState, _ messages: StoredMessageIndex
    ) -> HistoryReconciliation.HistoryMatch {
        switch self {
        case .create(let created):
            guard let record = state.record else { return .unknown }
            return created.createdAt == record.createdAt && created.creator == record.creator
                ? .same : .different
        case .end:
            guard let record = state.record else { return .unknown }
            return record.endedAt == nil ? .different : .unknown
        case .message(let message):
            guard messages.covers(message.sequence) else { return .unknown }
            return messages[message.sequence]?.isSame(as: message) ?? false ? .same : .different
        case .amend(let message, _, _):
            guard messages.covers(message.sequence) else { return .unknown }
            guard let stored = messages[message.sequence], stored.isSame(as: message) else {
                return .different
            }
            if stored.revision == revision {
                return stored.looks(like: message) ? .same : .different
            }
            // A deleted message stays deleted, whatever other changes say. A later amendment may
            // follow this one, or be of another history.
            if stored.state == .deleted { return .unknown }
            return stored.revision > revision && message.state != .deleted ? .unknown : .different
        case .member, .remove, .update, .cursors, .skip: return .unknown
        }
    }

    /// The change to write after this history under its own numbers; nil if they are not free.
    func kept(in history: RecoveredHistory) -> Write.Change? {
        switch self {
        // A message that was sent twice while the recent messages were unknown is written once.
        case .message(let message):
            return message.sequence == history.state.head + 1
                && history.messages.sequence(of: message) == nil ? self : nil
        // An amended message may have got another number.
        case .amend(let message, _, _):
            if history.messages.isDisplaced(message) { return nil }
            // A deleted message stays deleted.
            let isDeleted = history.messages[message.sequence]?.state == .deleted
            return isDeleted && message.state != .deleted ? .skip : self
        case .create, .member, .remove, .update, .cursors, .end, .skip: return self
        }
    }

    /// The same change for a history that has another one under its numbers; nil if it would change
    /// nothing there.
    func moved(to history: RecoveredHistory) -> Write.Change? {
        switch self {
        case .message(var message):
            // The author's node may have sent it to the other master as well. What only fills a
            // lost number is not needed under another one.
            guard message.body.clientMessageID != nil,
                history.messages.sequence(of: message) == nil
            else { return nil }
            if let annotations = message.body.annotations {
                message.body = message.body.with(
                    annotations.with(history.messages.movedReply(annotations.reply)))
            }
            message.sequence = history.state.head + 1
            message.sentAt.milliseconds = max(
                message.sentAt.milliseconds, history.state.lastSentAt)
            return .message(message)
        case .amend(var message, let amendment, let time):
            guard
                let sequence = history.messages.sequence(of: message)
                    ?? history.messages.sequenceIfOlder(message),
                sequence <= history.state.head
            else {
                // No loop has the message itself any more, only its amended form.
                guard message.state != .deleted else { return nil }
                message.state = .asSent
                return Write.Change.message(message).moved(to: history)
            }
            if let current = history.messages[sequence] {
                guard let amended = current.applying(amendment, revision: 0) else { return nil }
                message = amended
            }
            message.sequence = sequence
            return .amend(message, amendment, at: time)
        case .member(let member):
            let isMember = history.state.members.memberNumber(of: member.user) != nil
            return isMember == member.role.isMember ? nil : self
        case .remove(let user):
            return history.state.members.memberNumber(of: user) == nil ? nil : self
        case .end: return history.state.record?.endedAt == nil ? self : nil
        case .create: return history.state.revision == 0 ? self : nil
        case .update: return self
        case .cursors, .skip: return nil
        }
    }

    /// Applies the change with the next revision.
    ///
    /// - Returns: the change to write.
    func apply(to state: inout HistoryState) -> Write.Change {
        state.revision += 1
        switch self {
        case .create(let record): state.record = record
        case .message(var message):
            state.head = message.sequence
            state.lastSentAt = max(state.lastSentAt, message.sentAt.milliseconds)
            message.revision = state.revision
            return .message(message)
        case .amend(var message, let amendment, let time):
            message.revision = state.revision
            state.pins.updatePins(with: message)
            return .amend(message, amendment, at: time)
        case .member(let member):
            let member = state.members.withKnownCursors(member)
            _ = state.members.insert(member, isMember: member.role.isMember)
            return .member(member)
        case .remove(let user):
            if let number = state.members.memberNumber(of: user) {
                state.members.remove(number, rememberedAs: nil)
            }
        case .update(let record): state.record?.takeProperties(of: record)
        case .end(let time): state.record?.endedAt = time
        case .cursors, .skip: break
        }
        return self
    }
}
