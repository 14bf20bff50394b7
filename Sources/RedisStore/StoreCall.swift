import ChatModel
import EventLoop
import RedisClient

/// A command under way, and what its reply is for.
enum StoreCall {
    /// A read, or a probe.
    case read(Asker, StoreRequest)
    /// The raising of a shard's epoch, for a deed.
    case claim(UInt64, RedisSlot)
    /// A deed's writes: all of them, or in Redis Cluster those with these places, which lie in one slot.
    case write(UInt64, RedisSlot, places: [Int]?)
    /// How many replicas have what a deed wrote.
    case confirm(UInt64, RedisSlot)
    /// What a server is, and how many replicas it has; with the client's number of it.
    case role(Int)

    /// Who asked, and under which number.
    struct Asker {
        let client: any StoreClient
        let ticket: StoreTicket
    }
}

/// A claim or a batch of writes under way: it is answered when each of its commands is, and the replicas have it.
struct StoreDeed {
    let asker: StoreCall.Asker
    let request: StoreRequest
    let deadline: MonotonicTime
    /// Commands that have not been answered.
    var commandsUnderWay = 0
    /// Where replicas are to be asked for what was written, once it is known whether there are any.
    var unconfirmed: [Unconfirmed] = []
    var epoch: Epoch = 0
    /// The later view under which the shard was claimed already.
    var outdatedBy: Int?
    var refusals: [Int: WriteRefusal] = [:]
    /// Why part of it was not done, or may not be.
    var failure: StoreFailure?
    /// It may be done, but not where it would outlive a failover: whoever goes on from it must claim first, which confirms it too.
    var isUnconfirmed = false

    /// A write in a slot, and the connection that has carried it, once it is answered.
    struct Unconfirmed {
        let slot: RedisSlot
        var connection: RedisConnection?
    }

    /// Nothing is under way any more, and nothing is to be asked.
    var isDone: Bool {
        self.commandsUnderWay == 0 && (self.unconfirmed.isEmpty || self.failure != nil || self.isUnconfirmed)
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
                return .written(.refused(Dictionary(uniqueKeysWithValues: batch.writes.indices.map { ($0, .fenced(0)) })))
            }
            if let failure { return .failed(failure) }
            return .written(self.refusals.isEmpty ? .stored : .refused(self.refusals))
        default:
            preconditionFailure("a read is no deed")
        }
    }
}

extension StoreFailure {
    static let unconfirmed = StoreFailure("no replica has confirmed the write in time; it may be stored")
}
