import ChatModel

/// What an owner of Redis Cluster has to write and must not yet: the lists that name what it makes lie in other slots, and come first.
///
/// All that a batch has for such a conversation waits, and so does what later batches have for it, in order. Other conversations do not.
struct WaitingWrites {
    /// The writes of a batch for one conversation.
    struct Part {
        let deed: UInt64
        let conversation: ConversationKey
        /// Of its writes in the batch, in order.
        let places: [Int]
        /// Lines that are not where they are to be yet.
        var linesUnderWay = 0
        /// Places whose lines could not be written, because something else stands under the name of the list.
        var damaged: Set<Int> = []
        /// Why nothing of it is to be written.
        var failure: StoreFailure?

        /// What can be written: nothing from the first on whose line is missing.
        var writable: ArraySlice<Int> { self.places.prefix { !self.damaged.contains($0) } }
    }

    private var parts: [UInt64: Part] = [:]
    private var queues: [ConversationKey: [UInt64]] = [:]
    private var lastNumber: UInt64 = 0

    func holds(_ conversation: ConversationKey) -> Bool { self.queues[conversation] != nil }

    var isEmpty: Bool { self.parts.isEmpty }

    subscript(number: UInt64) -> Part? { self.parts[number] }

    /// - Returns: the number of the part.
    mutating func add(_ part: Part) -> UInt64 {
        self.lastNumber += 1
        self.parts[self.lastNumber] = part
        self.queues[part.conversation, default: []].append(self.lastNumber)
        return self.lastNumber
    }

    /// A line of a part is settled.
    mutating func settleLine(of number: UInt64, _ note: (inout Part) -> Void) {
        guard var part = self.parts[number] else { return }
        part.linesUnderWay -= 1
        note(&part)
        self.parts[number] = part
    }

    /// The next part of a conversation that need not wait any longer; it is gone from here.
    mutating func next(of conversation: ConversationKey) -> Part? {
        guard let number = self.queues[conversation]?.first, let part = self.parts[number], part.linesUnderWay == 0 else { return nil }
        self.parts[number] = nil
        self.queues[conversation]?.removeFirst()
        if self.queues[conversation]?.isEmpty == true { self.queues[conversation] = nil }
        return part
    }
}
