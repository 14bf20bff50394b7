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
    /// How often an examination of a conversation that changes begins again.
    private static let attempts = 5

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
            return .examined(try await self.faults(of: key))
        case .repair(let key, let owner, let epoch):
            return .examined(try await self.repair(key, by: owner, under: epoch))
        default: preconditionFailure("the request is not an inspection")
        }
    }

    // MARK: The list

    /// The cursor is the number of the server, Redis' cursor on it, and the run of the server that
    /// returned it. Redis orders its keys by a seed that changes with every start, so after a
    /// restart or a failover the server is read from its beginning.
    private func page(after: ByteString?, limit: Int) async throws(StoreFailure)
        -> ConversationKeyPage
    {
        let parts = (after?.string ?? "0:0").split(separator: ":")
        guard (2...3).contains(parts.count), var server = Int(parts[0]), server >= 0,
            UInt64(parts[1]) != nil
        else { throw .invalidCursor }
        var cursor = String(parts[1])
        var run = parts.count == 3 ? String(parts[2]) : ""
        var page = ConversationKeyPage()
        for _ in 0..<Self.scansPerPage {
            let servers = await self.servers()
            guard !servers.isEmpty else { throw StoreFailure(.noConnection) }
            guard server < servers.count else {
                page.next = nil
                return page
            }
            let current = try await self.run(of: servers[server])
            if current != run { (run, cursor) = (current, "0") }
            let reply = try await self.scan(servers[server], cursor, limit: limit)
            var position = 0
            while let name = reply[1][position].text {
                if let key = LayoutReader.conversation(ofKey: name) { page.keys.append(key) }
                position += 1
            }
            cursor = reply[0].text ?? "0"
            // Otherwise the server restarted during the step; the next one begins again.
            if cursor == "0", try await self.run(of: servers[server]) == run {
                server += 1
                run = ""
            }
            page.next = ByteString("\(server):\(cursor):\(run)")
            // A step returns keys of one hash bucket together, so a page may exceed the limit.
            if page.keys.count >= limit { break }
        }
        if server >= (await self.servers().count) { page.next = nil }
        return page
    }

    private func scan(_ server: RedisSlot, _ cursor: String, limit: Int)
        async throws(StoreFailure) -> RedisValue
    {
        let pattern = "\(self.settings.clusterName):{s*}:conv:*"
        // Most keys belong to no conversation's record, so a page needs several steps.
        let count = max(10, StoreRequest.clampedListLimit(limit))
        return try await self.call(server, about: nil) { command, _ in
            command.append("SCAN")
            command.append(text: cursor)
            command.append("MATCH")
            command.append(text: pattern)
            command.append("COUNT")
            command.append(count)
        }
    }

    /// Identifies a start of a server.
    private func run(of server: RedisSlot) async throws(StoreFailure) -> String {
        let info = try await self.call(server, about: nil) { command, _ in
            command.append("INFO")
            command.append("server")
        }
        let line = (info.text ?? "").split(whereSeparator: \.isNewline).first {
            $0.hasPrefix("run_id:")
        }
        return line.map { String($0.dropFirst("run_id:".count)) } ?? ""
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

    private func faults(of key: ConversationKey) async throws(StoreFailure) -> StoredFaults {
        for _ in 0..<Self.attempts {
            guard let inspection = try await self.inspection(of: key) else { return StoredFaults() }
            let parts = try await self.missingParts(of: key)
            // A pin that ends meanwhile would look like a missing one.
            if !parts.isEmpty, try await self.inspection(of: key)?.state != inspection.state {
                continue
            }
            var faults = inspection.faults(missing: try await self.missingEntries(inspection, key))
            faults.repairable += parts.faults
            return faults
        }
        throw StoreFailure(
            "\(key): the conversation changed during the examination; repeat it",
            isRequestSpecific: true, effect: .none)
    }

    private func inspection(of key: ConversationKey) async throws(StoreFailure)
        -> RedisInspection?
    {
        let shard = Shard.of(key)
        let reply = try await self.call(
            self.settings.slot(of: shard), about: key.description
        ) { command, arguments in
            arguments.append(StoreScripts.examine, of: key, in: shard, to: &command)
        }
        return RedisInspection(reply, of: key)
    }

    private func missingEntries(_ inspection: RedisInspection, _ key: ConversationKey)
        async throws(StoreFailure) -> [RedisInspection.NeededEntry]
    {
        var missing: [RedisInspection.NeededEntry] = []
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
        let parts = try await self.missingParts(of: key)
        let shard = Shard.of(key)
        // Also without a fault of the state, so that only the owner adds index entries.
        let outcome = try await self.call(
            self.settings.slot(of: shard), about: key.description
        ) { command, arguments in
            arguments.append(StoreScripts.repair, of: key, in: shard, to: &command)
            command.append(text: owner.description)
            command.append(epoch)
            command.append(text: inspection.state)
            command.append(text: inspection.repairedState)
            command.append(inspection.repairedAmendmentRevision)
            parts.write(to: &command)
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
        var faults = inspection.faults(missing: missing)
        faults.repairable += parts.faults
        return faults
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

    func call(
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
