public import ChatCore
public import ChatEngine
public import ChatModel
import Cluster
import EventLoop

/// Lists for operators. They are read in slices, so that no loop stalls: between two slices, the
/// loop handles its connections.
extension Gateway {
    /// The slots that a loop visits for one slice. `bench/lookups.py` measures the time.
    public static let slotsPerSlice = 512

    /// A slice of a loop's connections, from a slot on. Nil if the loop does not answer in time.
    ///
    /// - Parameter limit: the number of slots to visit.
    public func connections(
        from start: Int, limit: Int = Gateway.slotsPerSlice, of loop: Int,
        _ filter: ConnectionFilter, within time: Duration
    ) async -> ConnectionSlice? {
        await self.inspect(loop, within: time) {
            $0.connections(from: start, limit: limit, filter)
        }
    }

    /// A slice of the conversations that a loop owns. Nil if the loop does not answer in time.
    ///
    /// - Parameter limit: the number of slots to visit.
    public func ownedConversations(
        from start: Int, limit: Int = Gateway.slotsPerSlice, of loop: Int, within time: Duration
    ) async -> ChatLoop.ConversationSlice? {
        await self.inspect(loop, within: time) {
            $0.bridge.chat.ownedConversations(from: start, limit: limit, at: $0.context.now)
        }
    }

    /// A connection in full. The inner value is nil if the connection is closed, the outer one if
    /// the loop does not answer in time.
    public func connection(_ id: ConnectionID, conversationLimit limit: Int, within time: Duration)
        async -> ConnectionDetails??
    {
        guard (0..<self.loopCount).contains(id.loop) else { return .some(nil) }
        return await self.inspect(id.loop, within: time) { $0.details(of: id.token, limit: limit) }
    }

    /// A conversation in full. The inner value is nil if it is not in memory, the outer one if the
    /// loop does not answer in time.
    public func conversation(_ key: ConversationKey, memberLimit limit: Int, within time: Duration)
        async -> ConversationInspection??
    {
        await self.inspect(View.preferredLoop(of: key, loops: self.loopCount), within: time) {
            $0.bridge.chat.inspection(
                of: key, memberLimit: limit, at: $0.context.now)
        }
    }

    /// How many connections of this node are subscribed to a conversation. Nil if a loop does not
    /// answer in time.
    public func subscriberCount(of key: ConversationKey, within time: Duration) async -> Int? {
        var total = 0
        for loop in 0..<self.loopCount {
            guard
                let count = await self.inspect(loop, within: time, { $0.subscriberCount(of: key) })
            else { return nil }
            total += count
        }
        return total
    }

    /// The report of each loop, in order; nil for a loop that does not answer in time.
    public func loopReports(within time: Duration) async -> [LoopReport?] {
        await withTaskGroup(of: (Int, LoopReport?).self) { group in
            for loop in 0..<self.loopCount {
                group.addTask {
                    (
                        loop,
                        await self.inspect(loop, within: time) {
                            $0.statistics.report($0.context, $0.pool, $0.bridge)
                        }
                    )
                }
            }
            var reports = [LoopReport?](repeating: nil, count: self.loopCount)
            for await (loop, report) in group { reports[loop] = report }
            return reports
        }
    }

    /// Reads from a loop's state, on the loop. Nil if the loop does not answer in time.
    private func inspect<Value: Sendable>(
        _ loop: Int, within time: Duration,
        _ read: @escaping @Sendable (borrowing LoopState) -> Value
    ) async -> Value? {
        await self.request(loop, within: time) { reply in .inspect { reply(read($0)) } }
    }
}
