public import Bytes
import ChatModel
public import Cluster

/// What a loop says to operators of a shard of which it has something.
public struct ShardReport: Sendable {
    public let holding: ChatLoop.OwnedShard
    /// When it was claimed; nil where it is not.
    public let claimedAt: Timestamp?
    /// Messages a second that were given to the store, over the last second.
    public let messagesPerSecond: Double
}

/// What a loop measures of its shards from second to second, for operators.
///
/// Counted where batches leave for the store: there each message costs one addition, and conversations need not be looked at.
struct ShardRates {
    private var counts = [UInt32](repeating: 0, count: Shard.count)
    private var latest = [UInt32](repeating: 0, count: Shard.count)
    /// How long the latest counts took to come about.
    private var seconds = 1.0
    private var measuredAt: Int64 = 0
    private var claims: [Int: Timestamp] = [:]

    mutating func recordRequest(_ request: StoreRequest, at now: Timestamp) {
        switch request {
        case .claim(let shard, _, _):
            self.claims[shard] = now
        case .write(let batch):
            // Lent by the buffer; the array would hand out copies.
            batch.writes.withUnsafeBufferPointer { writes in
                for place in writes.indices where writes[place].change.isMessage {
                    self.counts[writes[place].shard] &+= 1
                }
            }
        default: break
        }
    }

    /// To be called every second or so.
    mutating func rollOver(at now: Int64) {
        defer { self.measuredAt = now }
        guard self.measuredAt > 0, now > self.measuredAt else { return }
        self.seconds = Double(now - self.measuredAt) / 1000
        swap(&self.counts, &self.latest)
        for shard in self.counts.indices { self.counts[shard] = 0 }
    }

    func report(_ holding: ChatLoop.OwnedShard) -> ShardReport {
        ShardReport(
            holding: holding, claimedAt: holding.epoch == nil ? nil : self.claims[holding.shard],
            messagesPerSecond: Double(self.latest[holding.shard]) / self.seconds)
    }
}

extension Write.Change {
    fileprivate var isMessage: Bool { if case .message = self { true } else { false } }
}
