import ChatModel
import EventLoop
import RedisClient

/// A command without a reply, and the purpose of its reply.
enum PendingCommand {
    /// A read request.
    case read(StoreRequester, StoreRequest)
    /// Raises a shard's epoch, for an operation.
    case claim(StoreOperationID, RedisSlot)
    /// Writes all of an operation's batch; in Redis Cluster the writes at these positions, which
    /// lie in one slot.
    case write(StoreOperationID, RedisSlot, positions: [Int]?)
    /// Assigns or counts a tenant's numbers, or changes a ban, for an operation. The reply has
    /// numbers.
    case number(StoreOperationID, RedisSlot)
    /// Writes to a key that only probes use, for an operation.
    case probe(StoreOperationID, RedisSlot)
    /// Writes the index entry for one write of a `DeferredPart`; with the write's position in its
    /// batch.
    case entry(DeferredPartID, position: Int, RedisSlot)
    /// Asks how many replicas have that index entry.
    case confirmEntry(DeferredPartID, position: Int, RedisSlot)
    /// Reads index entries for a `ListPager`.
    case entries(ListPagerID)
    /// Reads the summary of the entry at this position of the pager's batch.
    case summary(ListPagerID, position: Int)
    /// Removes stale index entries; the reply does not matter.
    case removeStale
    /// A step of an inspection, which an operator has requested.
    case inspect(@Sendable (Result<RedisValue, RedisError>) -> Void)
    /// Asks how many replicas have an operation's writes.
    case confirm(StoreOperationID, RedisSlot)
    /// Asks for a server's role and its replicas; with the client's id of the master.
    case role(Int)

    /// The operation that the command belongs to.
    var operation: StoreOperationID? {
        switch self {
        case .claim(let id, _), .write(let id, _, _), .number(let id, _), .probe(let id, _),
            .confirm(let id, _):
            id
        case .read, .entry, .confirmEntry, .entries, .summary, .removeStale, .inspect, .role:
            nil
        }
    }

    /// The client that sent a request, and its ticket.
    struct StoreRequester {
        let client: any StoreClient
        let ticket: StoreTicket
        let submittedAt = MonotonicTime.now
    }
}
