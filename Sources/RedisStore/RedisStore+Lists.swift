import Bytes
import ChatModel
import EventLoop
import RedisClient

/// Lists of conversations. All that a look needs is asked for in one go, each conversation by a call of its own: in Redis Cluster they lie
/// apart, and nowhere is Redis held up by a long script.
extension RedisStore {
    func startPaging(
        _ request: StoreRequest, _ asker: PendingCommand.StoreRequester, _ body: inout State
    ) throws(RedisError) {
        guard let reading = ListPager(request, for: asker, body.arguments) else {
            let failure = StoreFailure(
                "after: it is no place in \(request.subject ?? "a list")", isRequestSpecific: true)
            return asker.client.storeAnswered(.failed(failure), ticket: asker.ticket)
        }
        let number = body.pagers.insert(reading)
        do throws(RedisError) {
            try self.requestEntries(number, &body)
        } catch {
            _ = body.pagers.remove(number)
            throw error
        }
    }

    func requestEntries(_ number: UInt64, _ body: inout State) throws(RedisError) {
        guard let reading = body.pagers[number] else { return }
        try self.sendCommand(.entries(number), self.settings.slot(of: reading.redisKey), &body) {
            command, _ in
            command.append(Self.listEntries, keyCount: 1)
            command.append(text: reading.redisKey)
            command.append(reading.isCatalog ? "down" : "up")
            if let place = reading.cursor {
                command.append(place.time.milliseconds)
                command.append(text: place.id)
            } else {
                command.append("")
                command.append("")
            }
            command.append(reading.entryLimit)
        }
    }

    func requestSummary(at place: Int, of number: UInt64, _ body: inout State) throws(RedisError) {
        guard let reading = body.pagers[number] else { return }
        let key = reading.conversation(at: place)
        let shard = Shard.of(key)
        try self.sendCommand(
            .summary(number, position: place), self.settings.slot(of: shard), &body
        ) { command, words in
            words.append(Self.listSummary, of: key, in: shard, to: &command)
            if case .memberships(let user, _, _, _, let unreadLimit) = reading.request {
                command.append(text: user.storageKey)
                command.append(clamped: max(0, unreadLimit))
            }
        }
    }

    func entriesReceived(_ number: UInt64, _ reply: RedisReply) {
        self.loopState.with { body in
            do throws(DamagedValue) {
                body.pagers[number]?.beginBatch(try ReplyDecoder.indexEntries(reply))
            } catch {
                let subject = body.pagers[number]?.request.subject
                body.pagers[number]?.failure = StoreFailure(error, about: subject)
                return
            }
            for place in body.pagers[number]?.entries.indices ?? 0..<0 {
                do throws(RedisError) {
                    try self.requestSummary(at: place, of: number, &body)
                } catch {
                    body.pagers[number]?.failure = StoreFailure(error)
                    body.pagers[number]?.record(nil, at: place)
                }
            }
        }
        self.continuePaging(number)
    }

    func entriesFailed(_ number: UInt64, _ error: RedisError) {
        self.loopState.with { body in
            let subject = body.pagers[number]?.request.subject
            body.pagers[number]?.failure = StoreFailure(error, about: subject)
        }
        self.continuePaging(number)
    }

    func summaryReceived(_ number: UInt64, _ place: Int, _ reply: RedisReply) {
        self.loopState.with { body in
            guard let reading = body.pagers[number] else { return }
            let key = reading.conversation(at: place)
            var sight = ListPager.EntrySummary.nothing
            do throws(DamagedValue) {
                if case .memberships(let user, _) = reading.indexKey {
                    if let membership = try ReplyDecoder.membership(key, of: user, reply) {
                        sight = .membership(membership)
                    }
                } else {
                    if let entry = try ReplyDecoder.catalogEntry(key, reply) {
                        sight = .catalogEntry(entry)
                    }
                }
            } catch {
                sight = .damaged(StoreFailure(error, about: key.description))
            }
            body.pagers[number]?.record(sight, at: place)
        }
        self.continuePaging(number)
    }

    func summaryFailed(_ number: UInt64, _ place: Int, _ error: RedisError) {
        self.loopState.with { body in
            guard let reading = body.pagers[number] else { return }
            let failure = StoreFailure(error, about: reading.conversation(at: place).description)
            if !failure.isRequestSpecific { body.pagers[number]?.failure = failure }
            body.pagers[number]?.record(
                failure.isRequestSpecific ? .damaged(failure) : nil, at: place)
        }
        self.continuePaging(number)
    }

    /// Looks on, or answers, when a look is done.
    private func continuePaging(_ number: UInt64) {
        let done: ListPager? = self.loopState.with { body in
            guard let reading = body.pagers[number], reading.isBatchComplete else { return nil }
            if reading.failure == nil,
                let stale = body.pagers[number]?.finishBatch(
                    at: WallClock.now, staleEntryAge: self.settings.staleEntryAge)
            {
                self.removeStale(stale, from: reading.redisKey, &body)
            }
            if body.pagers[number]?.isComplete == false {
                do throws(RedisError) {
                    try self.requestEntries(number, &body)
                    return nil
                } catch {
                    body.pagers[number]?.failure = StoreFailure(error)
                }
            }
            return body.pagers.remove(number)
        }
        if let done {
            done.requester.client.storeAnswered(done.answer, ticket: done.requester.ticket)
        }
    }

    /// Nobody waits for it: what is not taken out is found again.
    private func removeStale(_ lines: [PageCursor], from key: ByteString, _ body: inout State) {
        if lines.isEmpty { return }
        try? self.sendCommand(.removeStale, self.settings.slot(of: key), &body) { command, _ in
            command.append(Self.removeStaleEntries, keyCount: 1)
            command.append(text: key)
            for line in lines {
                command.append(text: line.id)
                command.append(line.time.milliseconds)
            }
        }
    }
}
