import Bytes
import ChatModel

/// The unanswered operations, and the order in which writes are answered.
struct PendingOperations {
    private var operations = Slab<StoreOperation>()
    /// In the order of their requests. Writes are answered in this order even if one waits longer
    /// for a replica, because owners take the answer to a write as one to all earlier writes.
    private var writeOrder: [StoreOperationID] = []
    /// Operations with `unconfirmedWrites`, for whose master the id of replicas is unknown.
    private(set) var awaitingReplicaCount: [StoreOperationID] = []

    /// The operation with an id that `add` returned; nil after its answer. Only an existing
    /// operation can be modified.
    subscript(id: StoreOperationID) -> StoreOperation? {
        get { self.operations[id.rawValue] }
        _modify { yield &self.operations[id.rawValue] }
    }

    mutating func add(_ operation: StoreOperation) -> StoreOperationID {
        let id = StoreOperationID(rawValue: self.operations.insert(operation))
        if case .write = operation.request { self.writeOrder.append(id) }
        return id
    }

    /// Removes an operation for which nothing was sent, without an answer.
    mutating func cancel(_ id: StoreOperationID) {
        _ = self.operations.remove(id.rawValue)
        self.writeOrder.removeAll { $0 == id }
    }

    // MARK: Replica confirmation

    /// Records a write that must be confirmed when the id of replicas is known.
    mutating func deferConfirmation(
        _ id: StoreOperationID, _ unconfirmed: StoreOperation.UnconfirmedWrite
    ) {
        guard self.operations[id.rawValue] != nil else { return }
        self.operations[id.rawValue]?.unconfirmedWrites.append(unconfirmed)
        if !self.awaitingReplicaCount.contains(id) { self.awaitingReplicaCount.append(id) }
    }

    /// Removes and returns the writes to confirm, after all commands of the operation have been
    /// answered.
    ///
    /// Until then the operation stays in `awaitingReplicaCount`, because its slot may move to a
    /// master with an unknown id of replicas.
    mutating func dequeueUnconfirmed(of id: StoreOperationID) -> [StoreOperation.UnconfirmedWrite] {
        guard let operation = self.operations[id.rawValue], operation.pendingCommandCount == 0,
            !operation.isComplete
        else { return [] }
        self.operations[id.rawValue]?.unconfirmedWrites = []
        self.awaitingReplicaCount.removeAll { $0 == id }
        return operation.unconfirmedWrites
    }

    /// Records that the replicas' confirmation will never arrive.
    mutating func markUnconfirmed(_ id: StoreOperationID) {
        self.awaitingReplicaCount.removeAll { $0 == id }
        guard self.operations[id.rawValue] != nil else { return }
        self.operations[id.rawValue]?.isUnconfirmed = true
        // The next master may have no replicas, but it may also lack the write.
        if self.operations[id.rawValue]?.failure == nil {
            self.operations[id.rawValue]?.failure = .unconfirmed
        }
    }

    // MARK: Completion

    /// Removes and returns a complete operation that is not a write.
    mutating func removeIfComplete(_ id: StoreOperationID) -> StoreOperation? {
        guard let operation = self.operations[id.rawValue], operation.isComplete else { return nil }
        if case .write = operation.request { return nil }
        return self.remove(id)
    }

    /// Removes and returns the write that must be answered next, if it is complete.
    mutating func removeNextCompleteWrite() -> StoreOperation? {
        guard let first = self.writeOrder.first, self.operations[first.rawValue]?.isComplete ?? true
        else {
            return nil
        }
        self.writeOrder.removeFirst()
        return self.remove(first)
    }

    private mutating func remove(_ id: StoreOperationID) -> StoreOperation? {
        if !self.awaitingReplicaCount.isEmpty {
            self.awaitingReplicaCount.removeAll { $0 == id }
        }
        return self.operations.remove(id.rawValue)
    }
}
