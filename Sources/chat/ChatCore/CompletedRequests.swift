import ChatModel

/// The newest requests whose change of a message or of the conversation's properties is stored. If
/// such a request is retried because its answer was lost, it is not executed again: others may have
/// made later changes.
struct CompletedRequests: Sendable {
    private static let limit = 1000

    private var origins: [RequestOrigin] = []

    mutating func record(_ origins: [RequestOrigin]) {
        // The oldest half is dropped at once, because each removal moves the others.
        if self.origins.count >= Self.limit { self.origins.removeFirst(Self.limit / 2) }
        self.origins += origins.prefix(Self.limit / 2)
    }

    /// Whether an earlier attempt of this request is stored.
    func contains(_ origin: RequestOrigin) -> Bool {
        origin.isRetry && self.origins.contains { $0.isSame(as: origin) }
    }
}

extension Conversation {
    /// Whether an earlier attempt of an edit, a deletion, a reaction, a pin or an update waits for
    /// the store. The answer to it is also that to the retry.
    func isInFlight(_ command: ChatCommand, from origin: RequestOrigin) -> Bool {
        guard origin.isRetry else { return false }
        switch command {
        case .edit(let sequence, _, _), .delete(let sequence, _), .react(let sequence, _, _, _),
            .pin(let sequence, _), .unpin(let sequence, _):
            if let lookups = self.pendingLookups[sequence],
                lookups.waiting.contains(where: { $0.isAmendment(from: origin) })
            {
                return true
            }
            if let batch = self.reactionBatches[sequence],
                batch.requests.contains(where: { $0.origin.isSame(as: origin) })
            {
                return true
            }
        case .update: break
        default: return false
        }
        return self.pendingChanges.contains { change in
            change.requesters.contains { $0.isSame(as: origin) }
        }
    }
}

extension MessageLookup {
    fileprivate func isAmendment(from origin: RequestOrigin) -> Bool {
        if case .amend(_, _, let other) = self { other.isSame(as: origin) } else { false }
    }
}
