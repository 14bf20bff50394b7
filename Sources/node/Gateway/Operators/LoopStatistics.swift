import Bytes
import ChatCore
import ChatEngine
import ChatModel
import DialectKit
import EventLoop
import Telemetry

/// The metrics and the report of a loop, for operators.
struct LoopStatistics {
    /// A connection with more unsent bytes is slow.
    static let slowConnectionBytes = 64 << 10

    private var rates = LoopRates()
    private var publishAt: Int64 = 0

    /// The present statistics of the loop.
    func report(_ context: LoopContext, _ pool: ConnectionPool, _ bridge: ChatBridge) -> LoopReport
    {
        var report = LoopReport()
        report.connections = context.counters.connections.reduce(0, +)
        report.users = bridge.users.count
        report.conversations = bridge.chat.counts.owned
        report.messagesIn = self.rates.messagesIn
        report.messagesOut = self.rates.messagesOut
        report.cpu = context.index == 0 ? self.rates.cpu : 0
        report.turns = self.rates.turns
        report.restored = bridge.chat.recoveryCounts
        for connection in pool.table.hot where connection.flags.contains(.isOpen) {
            report.pendingBytes += Int(connection.pendingBytes)
            if connection.pendingBytes > Self.slowConnectionBytes { report.slowConnections += 1 }
        }
        return report
    }

    /// Publishes the loop's counters for `/metrics`, once a second.
    mutating func publishIfDue(_ context: LoopContext, _ bridge: inout ChatBridge) {
        guard context.now.monotonic >= self.publishAt else { return }
        self.publishAt = context.now.monotonic + 1000
        bridge.updateWallOffset()
        self.publishMetrics(context, &bridge)
    }

    private mutating func publishMetrics(_ context: LoopContext, _ bridge: inout ChatBridge) {
        var snapshot = MetricsSnapshot()
        let names = ["echo"] + context.settings.dialects.map { $0.name.description }
        for (index, name) in names.enumerated()
        where index > 0 || context.settings.echoPath != nil {
            snapshot.add(
                context.counters.connections[index], to: .connections, labels: ["dialect": name])
            snapshot.add(
                context.counters.messagesIn[index], to: .messagesReceived, labels: ["dialect": name]
            )
            snapshot.add(
                context.counters.stored[index], to: .messagesStored, labels: ["dialect": name])
            snapshot.add(
                context.counters.delivered[index], to: .messagesDelivered, labels: ["dialect": name]
            )
        }
        snapshot.add(context.counters.accepted, to: .connectionsAccepted)
        for reason in RefusalReason.allCases {
            snapshot.add(
                context.counters.refusals[reason.index], to: .connectionsRefused,
                labels: ["reason": reason.rawValue])
        }
        context.logSuppressedRefusals()
        for (code, count) in context.counters.responses.enumerated() where count > 0 {
            snapshot.add(count, to: .httpResponses, labels: ["code": String(code)])
        }
        snapshot.add(context.counters.httpRequests, to: .httpRequests)
        snapshot.add(context.counters.bytesIn, to: .receivedBytes)
        snapshot.add(context.counters.bytesOut, to: .sentBytes)
        snapshot.add(
            context.counters.droppedEphemeral, to: .messagesDropped,
            labels: ["reason": "slow_reader"])
        snapshot.add(
            context.counters.rateLimited, to: .messagesDropped, labels: ["reason": "rate_limited"])
        snapshot.add(
            context.counters.lostEnvelopes, to: .messagesDropped, labels: ["reason": "mailbox_full"]
        )
        for (code, count) in context.counters.closes {
            snapshot.add(count, to: .connectionsClosed, labels: ["code": String(code)])
        }
        let restored = bridge.chat.recoveryCounts
        snapshot.add(
            UInt64(restored.inPlace), to: .storeLostChanges, labels: ["outcome": "restored"])
        snapshot.add(
            UInt64(restored.moved), to: .storeLostChanges, labels: ["outcome": "renumbered"])
        snapshot.add(UInt64(restored.lost), to: .storeLostChanges, labels: ["outcome": "lost"])
        context.logRestored(restored)
        let counts = bridge.chat.counts
        snapshot.add(counts.owned, to: .conversationsOwned)
        snapshot.add(counts.subscribed, to: .conversationsSubscribed)
        snapshot.add(counts.pending, to: .ownerRequestsPending)
        snapshot.add(bridge.requestContexts.count, to: .clientRequestsPending)
        snapshot.add(bridge.users.count, to: .users)
        let turn = context.loop.resetTurnStatistics().longestNanoseconds
        context.counters.turnTimes.record(.nanoseconds(turn))
        self.rates.record(
            messagesIn: context.counters.messagesIn.reduce(0, &+),
            messagesOut: context.counters.delivered.reduce(0, &+),
            cpu: context.index == 0 ? ProcessClock.nanoseconds : 0, turn: UInt64(clamping: turn),
            at: context.now.monotonic)
        bridge.store.shardRates.rollOver(at: context.now.monotonic)
        snapshot.add(context.counters.turnTimes, to: .turnSeconds)
        snapshot.add(context.counters.storeTimes, to: .storeSeconds)
        snapshot.add(context.counters.storedWrites, to: .storeWrites)
        snapshot.add(context.counters.submittedBytes, to: .storeWriteBytes)
        snapshot.add(bridge.store.pendingWrites.count, to: .storePendingBatches)
        // All loops share this count.
        snapshot.add(
            context.index == 0 ? context.shared.storeErrors.count : 0, to: .storeErrors)
        snapshot.add(context.counters.deliveryTimes, to: .deliverySeconds)
        context.shared.board.publish(snapshot, from: context.index)
    }
}
