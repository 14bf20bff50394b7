import Bytes
import ChatModel

/// Deeds that are not answered, what each still needs, and the order in which writes are answered.
struct PendingOperations {
    private var operations = Slab<StoreOperation>()
    /// In the order in which they were asked for: so they are answered, too. One that has to wait for a replica once more would else be
    /// overtaken, and owners take an answer to a later write for one to all before it.
    private var writeOrder: [UInt64] = []
    /// Those of which something is `unconfirmed`, because nobody knew whether there are replicas to be waited for.
    private(set) var awaitingReplicaCount: [UInt64] = []

    /// The deed under a number that `add` gave; nil when it is answered. Only what is there can be changed.
    subscript(number: UInt64) -> StoreOperation? {
        get { self.operations[number] }
        _modify { yield &self.operations[number] }
    }

    mutating func add(_ deed: StoreOperation) -> UInt64 {
        let number = self.operations.insert(deed)
        if case .write = deed.request { self.writeOrder.append(number) }
        return number
    }

    /// Nothing was asked for it, and it is not answered.
    mutating func cancel(_ number: UInt64) {
        _ = self.operations.remove(number)
        self.writeOrder.removeAll { $0 == number }
    }

    // MARK: What replicas are to confirm

    /// Puts off the question whether replicas have a write.
    mutating func deferConfirmation(
        _ number: UInt64, _ unconfirmed: StoreOperation.UnconfirmedWrite
    ) {
        guard self.operations[number] != nil else { return }
        self.operations[number]?.unconfirmedWrites.append(unconfirmed)
        if !self.awaitingReplicaCount.contains(number) { self.awaitingReplicaCount.append(number) }
    }

    /// What is to be asked of a deed's replicas: nothing before the rest of it is answered.
    ///
    /// Until then it stays among the `awaitingReplicaCount`, whatever becomes known meanwhile: a slot may go to a master of which nothing is.
    mutating func dequeueUnconfirmed(of number: UInt64) -> [StoreOperation.UnconfirmedWrite] {
        guard let deed = self.operations[number], deed.pendingCommandCount == 0, !deed.isComplete
        else { return [] }
        self.operations[number]?.unconfirmedWrites = []
        self.awaitingReplicaCount.removeAll { $0 == number }
        return deed.unconfirmedWrites
    }

    /// Nobody will say any more whether replicas have what was written.
    mutating func markUnconfirmed(_ number: UInt64) {
        self.awaitingReplicaCount.removeAll { $0 == number }
        guard self.operations[number] != nil else { return }
        self.operations[number]?.isUnconfirmed = true
        // Though the next master may have no replicas to wait for: it may not have the write either.
        if self.operations[number]?.failure == nil {
            self.operations[number]?.failure = .unconfirmed
        }
    }

    // MARK: What is done

    /// A deed that needs nothing any more and is no write.
    mutating func removeIfComplete(_ number: UInt64) -> StoreOperation? {
        guard let deed = self.operations[number], deed.isComplete else { return nil }
        if case .write = deed.request { return nil }
        return self.remove(number)
    }

    /// The write that is answered next, when it needs nothing any more.
    mutating func removeNextCompleteWrite() -> StoreOperation? {
        guard let first = self.writeOrder.first, self.operations[first]?.isComplete ?? true else {
            return nil
        }
        self.writeOrder.removeFirst()
        return self.remove(first)
    }

    private mutating func remove(_ number: UInt64) -> StoreOperation? {
        if !self.awaitingReplicaCount.isEmpty {
            self.awaitingReplicaCount.removeAll { $0 == number }
        }
        return self.operations.remove(number)
    }
}
