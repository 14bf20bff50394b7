import ChatModel

/// What an owner of Redis Cluster has to write and must not yet: the lists that name what it makes lie in other slots, and come first.
///
/// All that a batch has for such a conversation waits, and so does what later batches have for it, in order. Other conversations do not.
struct DeferredWrites {
    /// The writes of a batch for one conversation.
    struct DeferredPart {
        let operation: UInt64
        let conversation: ConversationKey
        /// Of its writes in the batch, in order.
        let positions: [Int]
        /// Lines that are not where they are to be yet.
        var pendingEntryCount = 0
        /// Places whose lines could not be written, because something else stands under the name of the list.
        var damaged: Set<Int> = []
        /// Why nothing of it is to be written.
        var failure: StoreFailure?

        /// What can be written: nothing from the first on whose line is missing.
        var writable: ArraySlice<Int> { self.positions.prefix { !self.damaged.contains($0) } }
    }

    private var parts: [UInt64: DeferredPart] = [:]
    private var queues: [ConversationKey: [UInt64]] = [:]
    private var lastNumber: UInt64 = 0

    func contains(_ conversation: ConversationKey) -> Bool { self.queues[conversation] != nil }

    var isEmpty: Bool { self.parts.isEmpty }

    subscript(number: UInt64) -> DeferredPart? { self.parts[number] }

    /// - Returns: the number of the part.
    mutating func add(_ part: DeferredPart) -> UInt64 {
        self.lastNumber += 1
        self.parts[self.lastNumber] = part
        self.queues[part.conversation, default: []].append(self.lastNumber)
        return self.lastNumber
    }

    /// A line of a part is settled.
    mutating func completeEntry(of number: UInt64, _ note: (inout DeferredPart) -> Void) {
        guard var part = self.parts[number] else { return }
        part.pendingEntryCount -= 1
        note(&part)
        self.parts[number] = part
    }

    /// The next part of a conversation that need not wait any longer; it is gone from here.
    mutating func removeNext(of conversation: ConversationKey) -> DeferredPart? {
        guard let number = self.queues[conversation]?.first, let part = self.parts[number],
            part.pendingEntryCount == 0
        else { return nil }
        self.parts[number] = nil
        self.queues[conversation]?.removeFirst()
        if self.queues[conversation]?.isEmpty == true { self.queues[conversation] = nil }
        return part
    }
}
