public import Bytes
public import ChatEngine
import ChatModel

/// A loop's report about a shard of which it has conversations or the claim.
public struct ShardReport: Sendable {
    public let holding: ChatLoop.OwnedShard
    /// Nil if the shard is not claimed.
    public let claimedAt: Timestamp?
    /// Messages per second that were submitted to the store, over the last second.
    public let messagesPerSecond: Double
}

/// A loop's rates by shard, measured once a second for operators.
///
/// Messages are counted when batches are submitted to the store. There each message costs one
/// addition, and no conversation is read.
struct ShardRates {
    private var counts = [UInt32](repeating: 0, count: Shard.count)
    private var latest = [UInt32](repeating: 0, count: Shard.count)
    /// The duration that the latest counts cover.
    private var seconds = 1.0
    private var measuredAt: Int64 = 0
    private var claims: [Int: Timestamp] = [:]

    mutating func recordRequest(_ request: StoreRequest, at now: Timestamp) {
        switch request {
        case .claim(let shard, _, _):
            self.claims[shard] = now
        case .write(let batch):
            // Through the buffer pointer, because the array would return copies.
            batch.writes.withUnsafeBufferPointer { writes in
                for index in writes.indices where writes[index].change.isMessage {
                    self.counts[writes[index].shard] &+= 1
                }
            }
        default: break
        }
    }

    /// Called about once a second.
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
