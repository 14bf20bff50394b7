import ChatModel
import EventLoop
import RedisClient

/// A claim, a batch of writes, the giving of numbers or a probe under way: it is answered when each of its commands is, and the replicas have it.
struct StoreOperation {
    let requester: PendingCommand.StoreRequester
    let request: StoreRequest
    let deadline: MonotonicTime
    /// Commands that have not been answered.
    var pendingCommandCount = 0
    /// Parts of the batch that have not been sent, because lists come first (`DeferredWrites`).
    var deferredPartCount = 0
    /// Where replicas are to be asked for what was written, once it is known whether there are any.
    var unconfirmedWrites: [UnconfirmedWrite] = []
    var epoch: Epoch = 0
    /// The later view under which the shard was claimed already.
    var outdatedBy: Int?
    /// The numbers that were asked for.
    var numbers: [Int] = []
    var refusals: [Int: WriteRefusal] = [:]
    /// Why part of it was not done, or may not be.
    var failure: StoreFailure?
    /// As `WriteRefusal.unconfirmed`.
    var isUnconfirmed = false

    /// A write in a slot, and the connection that has carried it, once it is answered.
    struct UnconfirmedWrite {
        let slot: RedisSlot
        var connection: RedisConnection?
    }

    /// Nothing is under way any more, and nothing is to be asked.
    var isComplete: Bool {
        self.pendingCommandCount == 0 && self.deferredPartCount == 0
            && (self.unconfirmedWrites.isEmpty || self.failure != nil || self.isUnconfirmed)
    }

    /// What to say when it is done.
    var answer: StoreAnswer {
        switch self.request {
        case .claim:
            if let failure { return .failed(failure) }
            if let outdatedBy { return .outdated(view: outdatedBy) }
            return self.isUnconfirmed ? .failed(.unconfirmed) : .claimed(self.epoch)
        case .write(let batch):
            if self.isUnconfirmed {
                return .written(
                    .refused(
                        Dictionary(
                            uniqueKeysWithValues: batch.writes.indices.map { ($0, .unconfirmed) })))
            }
            if let failure { return .failed(failure) }
            return .written(self.refusals.isEmpty ? .stored : .refused(self.refusals))
        case .numbers, .nextNumber:
            if let failure { return .failed(failure) }
            if self.isUnconfirmed { return .failed(.unconfirmed) }
            if case .nextNumber = self.request { return .number(self.numbers[0]) }
            return .numbers(self.numbers)
        case .probe:
            if let failure { return .failed(failure) }
            return self.isUnconfirmed ? .failed(.unconfirmed) : .done
        default:
            preconditionFailure("a read is no deed")
        }
    }
}

extension StoreFailure {
    static let unconfirmed = StoreFailure(
        "no replica has confirmed the write in time; it may be stored")
}
