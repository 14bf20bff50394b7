import Bytes
import ChatModel
import EventLoop
import RedisClient

/// A claim, a batch of writes, an assignment of numbers, a change of a ban, or a probe. It is
/// answered when all its commands are answered and the replicas have confirmed it.
struct StoreOperation {
    let requester: PendingCommand.StoreRequester
    let request: StoreRequest
    let deadline: MonotonicTime
    let startedAt = WallClock.now
    /// Commands without a reply.
    var pendingCommandCount = 0
    /// Parts of the batch that wait for index entries (`DeferredWrites`).
    var deferredPartCount = 0
    /// Writes to confirm once it is known whether their master has replicas.
    var unconfirmedWrites: [UnconfirmedWrite] = []
    var epoch: Epoch = 0
    /// The later view under which the shard is already claimed.
    var outdatedBy: Int?
    /// The numbers to answer.
    var numbers: [Int] = []
    var refusals: [Int: WriteRefusal] = [:]
    /// Why a part was not executed, or may not have been.
    var failure: StoreFailure?
    /// The failure is an interruption.
    var isInterrupted = false
    /// As in `WriteRefusal.unconfirmed`.
    var isUnconfirmed = false

    /// A write in a slot and, once answered, the connection that carried it.
    struct UnconfirmedWrite {
        let slot: RedisSlot
        var connection: RedisConnection?
    }

    /// Whether nothing is in flight and nothing needs confirmation.
    var isComplete: Bool {
        self.pendingCommandCount == 0 && self.deferredPartCount == 0
            && (self.unconfirmedWrites.isEmpty || self.failure != nil || self.isUnconfirmed)
    }

    /// The answer to a complete operation.
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
        case .ban:
            if let failure { return .failed(failure) }
            if self.isUnconfirmed { return .failed(.unconfirmed) }
            return self.numbers.first == 0 ? .failed(StoreRequest.tooManyBans) : .done
        case .unban:
            if let failure { return .failed(failure) }
            return self.isUnconfirmed
                ? .failed(.unconfirmed) : .unbanned(self.numbers.first != 0)
        case .probe:
            if let failure { return .failed(failure) }
            return self.isUnconfirmed ? .failed(.unconfirmed) : .done
        default:
            preconditionFailure("a read request is not an operation")
        }
    }
}

extension StoreFailure {
    static let unconfirmed = StoreFailure(
        "no replica has confirmed the write in time; it may be stored")
}
