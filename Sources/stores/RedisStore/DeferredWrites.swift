import ChatModel

/// Identifies a part of a batch that waits for index entries.
struct DeferredPartID: Hashable, Sendable {
    let rawValue: UInt64
}

/// Writes that must wait in Redis Cluster until their index entries exist, because the index lies
/// in another slot and is written first.
///
/// A batch's writes to such a conversation wait together, and later writes to it wait behind them
/// in order. Other conversations do not wait.
struct DeferredWrites {
    /// One batch's writes to one conversation.
    struct DeferredPart {
        let operation: StoreOperationID
        let conversation: ConversationKey
        /// The positions of the writes in the batch, in order.
        let positions: [Int]
        /// Index entries that are not yet written and confirmed.
        var pendingEntryCount = 0
        /// Positions whose index entry cannot be written, because the index key holds another type.
        var damaged: Set<Int> = []
        /// Why none of the writes may be sent.
        var failure: StoreFailure?

        /// The writes that may be sent: those before the first one without an index entry.
        var writable: ArraySlice<Int> { self.positions.prefix { !self.damaged.contains($0) } }
    }

    private var parts: [DeferredPartID: DeferredPart] = [:]
    private var queues: [ConversationKey: [DeferredPartID]] = [:]
    private var lastID: UInt64 = 0

    func contains(_ conversation: ConversationKey) -> Bool { self.queues[conversation] != nil }

    var isEmpty: Bool { self.parts.isEmpty }

    subscript(id: DeferredPartID) -> DeferredPart? { self.parts[id] }

    /// - Returns: the id of the part.
    mutating func add(_ part: DeferredPart) -> DeferredPartID {
        self.lastID += 1
        let id = DeferredPartID(rawValue: self.lastID)
        self.parts[id] = part
        self.queues[part.conversation, default: []].append(id)
        return id
    }

    /// Records the outcome of one index entry.
    mutating func completeEntry(of id: DeferredPartID, _ update: (inout DeferredPart) -> Void) {
        guard var part = self.parts[id] else { return }
        part.pendingEntryCount -= 1
        update(&part)
        self.parts[id] = part
    }

    /// Removes and returns the conversation's first part, if it need not wait any longer.
    mutating func removeNext(of conversation: ConversationKey) -> DeferredPart? {
        guard let id = self.queues[conversation]?.first, let part = self.parts[id],
            part.pendingEntryCount == 0
        else { return nil }
        self.parts[id] = nil
        self.queues[conversation]?.removeFirst()
        if self.queues[conversation]?.isEmpty == true { self.queues[conversation] = nil }
        return part
    }
}
