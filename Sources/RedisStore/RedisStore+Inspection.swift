import Bytes
import ChatModel
import EventLoop
import RedisClient

/// Lists all conversations, and finds and repairs their faults. Operators request this rarely, so
/// each request is a task of its own, which sends one command after the other.
extension RedisStore {
    /// The number of steps of one page. A Redis that other programs also use may have many keys
    /// between two conversations.
    private static let scansPerPage = 20

    func startInspection(_ request: StoreRequest, _ requester: PendingCommand.StoreRequester) {
        Task {
            let answer: StoreAnswer
            do throws(StoreFailure) {
                answer = try await self.inspect(request)
            } catch {
                answer = .failed(error)
            }
            requester.client.storeAnswered(answer, ticket: requester.ticket)
        }
    }

    private func inspect(_ request: StoreRequest) async throws(StoreFailure) -> StoreAnswer {
        switch request {
        case .conversations(let after, let limit):
            return .conversations(try await self.page(after: after, limit: limit))
        case .examine(let key):
            guard let inspection = try await self.inspection(of: key) else {
                return .examined(StoredFaults())
            }
            return .examined(
                inspection.faults(missing: try await self.missingEntries(inspection, key)))
        case .repair(let key, let owner, let epoch):
            return .examined(try await self.repair(key, by: owner, under: epoch))
        default: preconditionFailure("the request is not an inspection")
        }
    }

    // MARK: The list

    /// The cursor is the number of the server and Redis' cursor on it.
    private func page(after: ByteString?, limit: Int) async throws(StoreFailure)
        -> ConversationKeyPage
    {
        let parts = (after?.string ?? "0:0").split(separator: ":")
        guard parts.count == 2, var server = Int(parts[0]), server >= 0,
            UInt64(parts[1]) != nil
        else { throw .invalidCursor }
        var cursor = String(parts[1])
        var page = ConversationKeyPage()
        for _ in 0..<Self.scansPerPage {
            let servers = await self.servers()
            guard !servers.isEmpty else { throw StoreFailure(.noConnection) }
            guard server < servers.count else {
                page.next = nil
                return page
            }
            let pattern = "\(self.settings.clusterName):{s*}:conv:*"
            // Most keys belong to no conversation's record, so a page needs several steps.
            let count = max(10, StoreRequest.clampedListLimit(limit))
            let reply = try await self.call(servers[server], about: nil) { [cursor] command, _ in
                command.append("SCAN")
                command.append(text: cursor)
                command.append("MATCH")
                command.append(text: pattern)
                command.append("COUNT")
                command.append(count)
            }
            var position = 0
            while let name = reply[1][position].text {
                if let key = LayoutReader.conversation(ofKey: name) { page.keys.append(key) }
                position += 1
            }
            cursor = reply[0].text ?? "0"
            if cursor == "0" { server += 1 }
            page.next = ByteString("\(server):\(cursor)")
            // A step returns keys of one hash bucket together, so a page may exceed the limit.
            if page.keys.count >= limit { break }
        }
        if server >= (await self.servers().count) { page.next = nil }
        return page
    }

    private func servers() async -> [RedisSlot] {
        await withCheckedContinuation { continuation in
            self.loop.execute {
                continuation.resume(
                    returning: self.loopState.with { $0.client?.masterSlots ?? [] })
            }
        }
    }

    // MARK: Faults

    private func inspection(of key: ConversationKey) async throws(StoreFailure)
        -> ConversationInspection?
    {
        let shard = Shard.of(key)
        let reply = try await self.call(
            self.settings.slot(of: shard), about: key.description
        ) { command, arguments in
            arguments.append(Self.examine, of: key, in: shard, to: &command)
        }
        return ConversationInspection(reply, of: key)
    }

    private func missingEntries(_ inspection: ConversationInspection, _ key: ConversationKey)
        async throws(StoreFailure) -> [ConversationInspection.NeededEntry]
    {
        var missing: [ConversationInspection.NeededEntry] = []
        for entry in inspection.neededEntries {
            let index = await self.name(of: entry.index)
            let reply = try await self.call(
                self.settings.slot(of: index), about: key.description
            ) { command, _ in
                command.append("ZSCORE")
                command.append(text: index)
                command.append(text: key.id)
            }
            if reply == .nothing { missing.append(entry) }
        }
        return missing
    }

    /// - Returns: as repairable, what was repaired.
    private func repair(_ key: ConversationKey, by owner: LoopID, under epoch: Epoch)
        async throws(StoreFailure) -> StoredFaults
    {
        guard let inspection = try await self.inspection(of: key) else { return StoredFaults() }
        let missing = try await self.missingEntries(inspection, key)
        let shard = Shard.of(key)
        // Also without a fault of the state, so that only the owner adds index entries.
        let outcome = try await self.call(
            self.settings.slot(of: shard), about: key.description
        ) { command, arguments in
            arguments.append(Self.repair, of: key, in: shard, to: &command)
            command.append(text: owner.description)
            command.append(epoch)
            command.append(text: inspection.state)
            command.append(text: inspection.repairedState)
            command.append(inspection.repairedAmendmentRevision)
        }
        switch outcome.text {
        case "done": break
        case "changed":
            throw StoreFailure(
                "\(key): the conversation changed during the repair; repeat it",
                isRequestSpecific: true, effect: .none)
        default: throw .repairFenced
        }
        for entry in missing {
            let index = await self.name(of: entry.index)
            _ = try await self.call(self.settings.slot(of: index), about: key.description) {
                command, _ in
                command.append("ZADD")
                command.append(text: index)
                command.append("GT")
                command.append(entry.score)
                command.append(text: key.id)
            }
        }
        return inspection.faults(missing: missing)
    }

    private func name(of index: StoreKeys.IndexKey) async -> ByteString {
        await withCheckedContinuation { continuation in
            self.loop.execute {
                continuation.resume(
                    returning: self.loopState.with { $0.arguments.key(of: index) })
            }
        }
    }

    // MARK: Commands

    private func call(
        _ slot: RedisSlot, about subject: String?,
        _ write: @escaping @Sendable (inout RedisCommandWriter, ScriptArguments) -> Void
    ) async throws(StoreFailure) -> RedisValue {
        var result = await self.reply(slot, write)
        // The client has loaded the scripts again.
        if case .failure(.scriptLost) = result { result = await self.reply(slot, write) }
        switch result {
        case .success(let value): return value
        case .failure(let error): throw StoreFailure(error, about: subject)
        }
    }

    private func reply(
        _ slot: RedisSlot,
        _ write: @escaping @Sendable (inout RedisCommandWriter, ScriptArguments) -> Void
    ) async -> Result<RedisValue, RedisError> {
        await withCheckedContinuation { continuation in
            self.loop.execute {
                self.loopState.with { state in
                    do throws(RedisError) {
                        try self.sendCommand(
                            .inspect { continuation.resume(returning: $0) }, slot, &state, write)
                    } catch {
                        continuation.resume(returning: .failure(error))
                    }
                }
            }
        }
    }
}
