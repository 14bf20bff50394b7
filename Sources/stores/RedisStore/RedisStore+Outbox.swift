import Bytes
import ChatModel
import EventLoop
import RedisClient

/// The outbox. Each request is a task of its own: delivering an event to another system takes much
/// longer than that. No replica confirms these commands, because a failover that loses one only
/// repeats a delivery.
extension RedisStore {
    /// Dead letters are bounded in each shard. Conversations spread evenly over the shards, so that
    /// the sum is usually below the limit.
    private var deadLettersPerShard: Int { max(16, (self.settings.outbox?.limit ?? 1024) / 64) }

    /// Tells the reader that events may have arrived.
    func signalOutbox(of request: StoreRequest, at positions: [Int]?) {
        guard let outbox = self.settings.outbox, case .write(let batch) = request else { return }
        if let positions {
            for position in positions { outbox.appended(batch.writes[position].shard) }
        } else {
            for write in batch.writes { outbox.appended(write.shard) }
        }
    }

    func startOutboxRequest(
        _ request: OutboxRequest, _ requester: PendingCommand.StoreRequester
    ) {
        Task {
            let answer: StoreAnswer
            do throws(StoreFailure) {
                answer = .outbox(try await self.answer(request))
            } catch {
                answer = .failed(error)
            }
            requester.client.storeAnswered(answer, ticket: requester.ticket)
        }
    }

    private func answer(_ request: OutboxRequest) async throws(StoreFailure) -> OutboxAnswer {
        switch request {
        case .scan(let partitions): return .partitions(try await self.scan(partitions))
        case .take(let partition, let reader, let after, let recovers, let limit):
            let reply = try await self.callOutbox(partition, StoreScripts.takeEvents) { command in
                command.append(text: reader.group)
                command.append(text: reader.consumer)
                command.append(limit)
                command.append(Int(OutboxRequest.takeoverIdle / .milliseconds(1)))
                command.append(recovers ? 1 : 0)
                command.append(text: after.map { "(\($0)" } ?? "-")
            }
            return .taken(
                Self.rows(reply[1], Self.entry),
                OutboxProgress(rawValue: reply[0].number ?? 0) ?? .atEnd)
        case .begin(let position, let partition, let reader):
            let reply = try await self.callOutbox(partition, StoreScripts.beginEvent) { command in
                command.append(text: reader.group)
                command.append(text: reader.consumer)
                command.append(text: position.description)
            }
            return .event(Self.event(reply))
        case .complete(let positions, let partition, let reader):
            _ = try await self.callOutbox(partition, StoreScripts.completeEvents) { command in
                command.append(text: reader.group)
                command.append(reader.groups.count)
                for group in reader.groups { command.append(text: group) }
                for position in positions { command.append(text: position.description) }
            }
            return .done(dropped: 0)
        case .bury(let position, let partition, let reader, let attempts, let reason, let time):
            let limit = self.deadLettersPerShard
            let reply = try await self.callBoth(partition, StoreScripts.buryEvent) { command in
                command.append(text: reader.group)
                command.append(text: reader.consumer)
                command.append(text: position.description)
                command.append(attempts)
                command.append(text: reason)
                command.append(time.milliseconds)
                command.append(limit)
                for group in reader.groups { command.append(text: group) }
            }
            return .done(dropped: reply.number ?? 0)
        case .deadLetters(let partitions, let limit):
            return .deadLetters(try await self.deadLetters(partitions, limit: limit))
        case .retry(let positions, let partition, let time):
            return try await self.moveLetters(positions, partition, at: time)
        case .drop(let positions, let partition):
            return try await self.moveLetters(positions, partition, at: nil)
        }
    }

    /// One short script for each partition, all sent at once.
    private func scan(_ partitions: [Int]) async throws(StoreFailure) -> [OutboxPartition] {
        let results = await withTaskGroup(of: Result<OutboxPartition, StoreFailure>.self) { group in
            for partition in partitions { group.addTask { await self.count(partition) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        var found: [OutboxPartition] = []
        for result in results {
            let partition = try result.get()
            if partition.hasEvents || partition.deadCount > 0 { found.append(partition) }
        }
        return found
    }

    private func count(_ partition: Int) async -> Result<OutboxPartition, StoreFailure> {
        do throws(StoreFailure) {
            let reply = try await self.callBoth(partition, StoreScripts.countEvents) { _ in }
            return .success(
                OutboxPartition(
                    number: partition, hasEvents: reply[0].number ?? 0 > 0,
                    deadCount: reply[1].number ?? 0))
        } catch {
            return .failure(error)
        }
    }

    private func deadLetters(_ partitions: [Int], limit: Int) async throws(StoreFailure)
        -> [DeadLetter]
    {
        var letters: [DeadLetter] = []
        for partition in partitions where letters.count < limit {
            let remaining = limit - letters.count
            let reply = try await self.call(
                self.settings.slot(of: partition), about: "the dead letters"
            ) { command, arguments in
                command.append(StoreScripts.deadLetters, keyCount: 1)
                arguments.appendDeadLetters(of: partition, to: &command)
                command.append(remaining)
            }
            letters += Self.rows(reply) { Self.letter($0, partition: partition) }
        }
        return letters
    }

    private func moveLetters(_ positions: [OutboxPosition], _ partition: Int, at time: Timestamp?)
        async throws(StoreFailure) -> OutboxAnswer
    {
        let limit = 2 * (self.settings.outbox?.limit ?? 512)
        _ = try await self.callBoth(partition, StoreScripts.retryDeadLetters) { command in
            if let time { command.append(time.milliseconds) } else { command.append("") }
            command.append(limit)
            for position in positions { command.append(text: position.description) }
        }
        return .done(dropped: 0)
    }

    private func callOutbox(
        _ partition: Int, _ script: RedisScript,
        _ write: @escaping @Sendable (inout RedisCommandWriter) -> Void
    ) async throws(StoreFailure) -> RedisValue {
        try await self.call(self.settings.slot(of: partition), about: "the outbox") {
            command, arguments in
            command.append(script, keyCount: 1)
            arguments.appendOutbox(of: partition, to: &command)
            write(&command)
        }
    }

    private func callBoth(
        _ partition: Int, _ script: RedisScript,
        _ write: @escaping @Sendable (inout RedisCommandWriter) -> Void
    ) async throws(StoreFailure) -> RedisValue {
        try await self.call(self.settings.slot(of: partition), about: "the outbox") {
            command, arguments in
            command.append(script, keyCount: 2)
            arguments.appendOutbox(of: partition, to: &command)
            arguments.appendDeadLetters(of: partition, to: &command)
            write(&command)
        }
    }

    // MARK: Replies

    private static func rows<Row>(_ list: RedisValue, _ row: (RedisValue) -> Row?) -> [Row] {
        var rows: [Row] = []
        var index = 0
        while list[index] != .nothing {
            if let next = row(list[index]) { rows.append(next) }
            index += 1
        }
        return rows
    }

    private static func entry(_ row: RedisValue) -> OutboxEntry? {
        guard let position = row[0].text.flatMap({ OutboxPosition($0) }),
            let conversation = self.conversation(row[1])
        else { return nil }
        let target = row[5].text ?? ""
        return OutboxEntry(
            position: position, id: self.text(row[2]), type: self.text(row[3]),
            conversation: conversation, queuedAt: self.time(row[4]),
            target: target.isEmpty ? nil : ByteString(target))
    }

    private static func letter(_ row: RedisValue, partition: Int) -> DeadLetter? {
        guard let position = row[0].text.flatMap({ OutboxPosition($0) }),
            let conversation = self.conversation(row[1])
        else { return nil }
        return DeadLetter(
            partition: partition, position: position, group: self.text(row[5]),
            id: self.text(row[2]),
            type: self.text(row[3]), conversation: conversation, attempts: row[6].number ?? 0,
            reason: row[7].text ?? "", diedAt: self.time(row[8]))
    }

    private static func event(_ row: RedisValue) -> OutboxEvent? {
        guard let conversation = self.conversation(row[0]) else { return nil }
        return OutboxEvent(
            id: self.text(row[1]), type: self.text(row[2]), conversation: conversation,
            queuedAt: self.time(row[3]), body: Array((row[4].text ?? "").utf8))
    }

    /// Nil for an event that Confab did not write.
    private static func conversation(_ value: RedisValue) -> ConversationKey? {
        let parts = (value.text ?? "").utf8.split(
            separator: UInt8(ascii: ":"), omittingEmptySubsequences: false
        ).compactMap { PercentEncoding.decode($0).map { ByteString($0) } }
        guard parts.count == 2 else { return nil }
        return ConversationKey(tenant: parts[0], id: parts[1])
    }

    private static func text(_ value: RedisValue) -> ByteString { ByteString(value.text ?? "") }

    private static func time(_ value: RedisValue) -> Timestamp {
        Timestamp(milliseconds: Int64(value.number ?? 0))
    }
}
