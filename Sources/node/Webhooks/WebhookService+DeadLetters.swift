public import Bytes
public import ChatModel
internal import Configuration
internal import EventLoop

/// The dead letters, for operators.
extension WebhookService {
    /// The dead letters in this node's partitions; nil if the store failed.
    public func deadLetters(limit: Int) async -> [DeadLetter]? {
        await withCheckedContinuation { continuation in
            self.loop.execute {
                self.state.with { state in
                    let partitions = state.delivery.deadCounts.keys.sorted()
                    self.request(.deadLetters(partitions: partitions, limit: limit), &state) {
                        answer, _ in
                        if case .outbox(.deadLetters(let letters)) = answer {
                            continuation.resume(returning: letters)
                        } else {
                            continuation.resume(returning: nil)
                        }
                    }
                }
            }
        }
    }

    /// Sends dead letters again, or drops them.
    ///
    /// - Parameter id: of an event; nil for all.
    /// - Returns: how many there were; nil if the store failed.
    public func changeDeadLetters(_ id: ByteString?, isRetry: Bool) async -> Int? {
        // A retried event may exceed the bound and become a dead letter again.
        let begin = WallClock.now
        var count = 0
        // Each round moves what the previous one has listed.
        for _ in 0..<1000 {
            guard let letters = await self.deadLetters(limit: 1000) else { return nil }
            let chosen = letters.filter {
                $0.diedAt <= begin && (id == nil || $0.id == id)
            }
            guard !chosen.isEmpty else { return count }
            for (partition, letters) in Dictionary(grouping: chosen, by: \.partition) {
                guard await self.move(letters.map(\.position), in: partition, isRetry: isRetry)
                else {
                    return nil
                }
                count += letters.count
            }
            if id != nil { return count }
        }
        return count
    }

    private func move(_ positions: [OutboxPosition], in partition: Int, isRetry: Bool) async -> Bool
    {
        await withCheckedContinuation { continuation in
            self.loop.execute {
                self.state.with { state in
                    let request: OutboxRequest =
                        isRetry
                        ? .retry(positions, partition: partition, at: WallClock.now)
                        : .drop(positions, partition: partition)
                    self.request(request, &state) { answer, state in
                        let succeeded = if case .outbox = answer { true } else { false }
                        if succeeded {
                            state.delivery.moved(positions.count, from: partition, isRetry: isRetry)
                        }
                        continuation.resume(returning: succeeded)
                    }
                }
            }
        }
    }

    /// The name of an endpoint of this node; nil if it is not configured any more.
    public func url(of group: ByteString) -> String? {
        self.readers.firstIndex { $0.group == group }.map { self.settings.names[$0] }
    }
}
