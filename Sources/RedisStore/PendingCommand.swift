import ChatModel
import EventLoop
import RedisClient

/// A command under way, and what its reply is for.
enum PendingCommand {
    /// A read.
    case read(StoreRequester, StoreRequest)
    /// The raising of a shard's epoch, for a deed.
    case claim(UInt64, RedisSlot)
    /// A deed's writes: all of them, or in Redis Cluster those with these places, which lie in one slot.
    case write(UInt64, RedisSlot, positions: [Int]?)
    /// What a deed wants of a tenant's numbers.
    case number(UInt64, RedisSlot)
    /// A write to a key that is there for nothing else, for a deed.
    case probe(UInt64, RedisSlot)
    /// The line in a list that a waiting part (`DeferredWrites`) needs for the write at this place in its batch.
    case entry(UInt64, position: Int, RedisSlot)
    /// How many replicas have that line.
    case confirmEntry(UInt64, position: Int, RedisSlot)
    /// Lines of a list that is being read.
    case entries(UInt64)
    /// What the line at this place of a list's look stands for.
    case summary(UInt64, position: Int)
    /// The taking out of lines that stand for nothing; whatever comes of it.
    case removeStale
    /// How many replicas have what a deed wrote.
    case confirm(UInt64, RedisSlot)
    /// What a server is, and how many replicas it has; with the client's number of it.
    case role(Int)

    /// The deed whose command it is.
    var operation: UInt64? {
        switch self {
        case .claim(let deed, _), .write(let deed, _, _), .number(let deed, _), .probe(let deed, _),
            .confirm(let deed, _):
            deed
        case .read, .entry, .confirmEntry, .entries, .summary, .removeStale, .role: nil
        }
    }

    /// Who asked, and under which number.
    struct StoreRequester {
        let client: any StoreClient
        let ticket: StoreTicket
    }
}
