import Bytes
import ChatModel
import EventLoop
import RedisClient

/// Lists of conversations. All that a look needs is asked for in one go, each conversation by a call of its own: in Redis Cluster they lie
/// apart, and nowhere is Redis held up by a long script.
extension RedisStore {
    func read(_ request: StoreRequest, _ asker: StoreCall.Asker, _ body: inout Body) throws(RedisError) {
        guard let reading = ListReading(request, for: asker, body.words) else {
            let failure = StoreFailure("after: it is no place in \(request.subject ?? "a list")", isOfOneConversation: true)
            return asker.client.storeAnswered(.failed(failure), ticket: asker.ticket)
        }
        let number = body.readings.insert(reading)
        do throws(RedisError) {
            try self.askForLines(number, &body)
        } catch {
            _ = body.readings.remove(number)
            throw error
        }
    }

    func askForLines(_ number: UInt64, _ body: inout Body) throws(RedisError) {
        guard let reading = body.readings[number] else { return }
        try self.call(.lines(number), self.settings.slot(of: reading.key), &body) { command, _ in
            command.append(Self.lines, keyCount: 1)
            command.append(text: reading.key)
            command.append(reading.isCatalog ? "down" : "up")
            if let place = reading.place {
                command.append(place.moment.milliseconds)
                command.append(text: place.id)
            } else {
                command.append("")
                command.append("")
            }
            command.append(reading.lineLimit)
        }
    }

    func glance(at place: Int, of number: UInt64, _ body: inout Body) throws(RedisError) {
        guard let reading = body.readings[number] else { return }
        let key = reading.conversation(at: place)
        let shard = Shard.of(key)
        try self.call(.glance(number, place: place), self.settings.slot(of: shard), &body) { command, words in
            words.append(Self.glance, of: key, in: shard, to: &command)
            if case .memberships(let user, _, _, _, let unreadLimit) = reading.request {
                command.append(text: user.key)
                command.append(clamped: max(0, unreadLimit))
            }
        }
    }

    func linesRead(_ number: UInt64, _ reply: RedisReply) {
        self.body.with { body in
            do throws(DamagedValue) {
                body.readings[number]?.begin(try StoredParts.lines(reply))
            } catch {
                let subject = body.readings[number]?.request.subject
                body.readings[number]?.failure = StoreFailure(error, about: subject)
                return
            }
            for place in body.readings[number]?.lines.indices ?? 0..<0 {
                do throws(RedisError) {
                    try self.glance(at: place, of: number, &body)
                } catch {
                    body.readings[number]?.failure = StoreFailure(error)
                    body.readings[number]?.note(nil, at: place)
                }
            }
        }
        self.goOn(number)
    }

    func linesFailed(_ number: UInt64, _ error: RedisError) {
        self.body.with { body in
            let subject = body.readings[number]?.request.subject
            body.readings[number]?.failure = StoreFailure(error, about: subject)
        }
        self.goOn(number)
    }

    func glanced(_ number: UInt64, _ place: Int, _ reply: RedisReply) {
        self.body.with { body in
            guard let reading = body.readings[number] else { return }
            let key = reading.conversation(at: place)
            var sight = ListReading.Sight.nothing
            do throws(DamagedValue) {
                if case .memberships(let user, _) = reading.shelf {
                    if let membership = try StoredParts.membership(key, of: user, reply) { sight = .membership(membership) }
                } else {
                    if let entry = try StoredParts.catalogEntry(key, reply) { sight = .entry(entry) }
                }
            } catch {
                sight = .damaged(StoreFailure(error, about: key.description))
            }
            body.readings[number]?.note(sight, at: place)
        }
        self.goOn(number)
    }

    func glanceFailed(_ number: UInt64, _ place: Int, _ error: RedisError) {
        self.body.with { body in
            guard let reading = body.readings[number] else { return }
            let failure = StoreFailure(error, about: reading.conversation(at: place).description)
            if !failure.isOfOneConversation { body.readings[number]?.failure = failure }
            body.readings[number]?.note(failure.isOfOneConversation ? .damaged(failure) : nil, at: place)
        }
        self.goOn(number)
    }

    /// Looks on, or answers, when a look is done.
    private func goOn(_ number: UInt64) {
        let done: ListReading? = self.body.with { body in
            guard let reading = body.readings[number], reading.isLookDone else { return nil }
            if reading.failure == nil, let stale = body.readings[number]?.finishLook(at: WallClock.now, lineAge: self.settings.lineAge) {
                self.sweep(stale, from: reading.key, &body)
            }
            if body.readings[number]?.isDone == false {
                do throws(RedisError) {
                    try self.askForLines(number, &body)
                    return nil
                } catch {
                    body.readings[number]?.failure = StoreFailure(error)
                }
            }
            return body.readings.remove(number)
        }
        if let done { done.asker.client.storeAnswered(done.answer, ticket: done.asker.ticket) }
    }

    /// Nobody waits for it: what is not taken out is found again.
    private func sweep(_ lines: [ListPlace], from key: ByteString, _ body: inout Body) {
        if lines.isEmpty { return }
        try? self.call(.sweep, self.settings.slot(of: key), &body) { command, _ in
            command.append(Self.sweep, keyCount: 1)
            command.append(text: key)
            for line in lines {
                command.append(text: line.id)
                command.append(line.moment.milliseconds)
            }
        }
    }
}
