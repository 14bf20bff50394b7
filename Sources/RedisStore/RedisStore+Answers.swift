import Bytes
import ChatModel
import EventLoop
public import RedisClient

/// What Redis says to what was asked.
extension RedisStore {
    public func redisReplied(_ reply: RedisReply, to tag: UInt64) {
        guard let call = self.body.with({ $0.calls.remove(tag) }) else { return }
        switch call {
        case .read(let asker, let request):
            asker.client.storeAnswered(self.answer(to: request, reply), ticket: asker.ticket)
        case .claim(let number, let slot):
            self.settle(number) { deed, body in
                deed.epoch = Int(reply.integer ?? 0)
                if reply.integer == nil { deed.outdatedBy = reply[0]?.integer.map { Int($0) } }
                self.noteCarrier(of: number, slot, &body)
            }
        case .write(let number, let slot, let places):
            self.settle(number) { deed, body in
                deed.note(reply, at: places)
                self.noteCarrier(of: number, slot, &body)
            }
        case .number(let number, let slot):
            self.settle(number) { deed, body in
                deed.noteNumbers(reply)
                self.noteCarrier(of: number, slot, &body)
            }
        case .probe(let number, let slot):
            self.settle(number) { self.noteCarrier(of: number, slot, &$1) }
        case .line(let part, let place, let slot): self.lineWritten(part, place, slot)
        case .confirmLine(let part, let place, let slot): self.lineConfirmed(by: Int(reply.integer ?? 0), part, place, slot)
        case .lines(let reading): self.linesRead(reading, reply)
        case .glance(let reading, let place): self.glanced(reading, place, reply)
        case .sweep: break
        case .confirm(let deed, let slot):
            self.confirmed(by: Int(reply.integer ?? 0), deed, slot)
        case .role(let master):
            self.learnRole(of: master, reply.replicaCount)
        }
    }

    public func redisFailed(_ error: RedisError, tag: UInt64) {
        guard let call = self.body.with({ $0.calls.remove(tag) }) else { return }
        // The scripts are being loaded again, ahead of whatever is asked from here on.
        if error == .scriptLost, self.askAgain(call) { return }
        switch call {
        case .read(let asker, let request):
            asker.client.storeAnswered(.failed(StoreFailure(error, about: request.subject)), ticket: asker.ticket)
        case .claim(let deed, _), .write(let deed, _, nil):
            let isInDoubt = error == .connectionLost(mayBeDone: true)
            self.settle(deed) { deed in
                deed.failure = deed.failure ?? StoreFailure(error, about: deed.request.subject)
                if isInDoubt { deed.isUnconfirmed = true }
            }
        case .write(let deed, _, let places?):
            let failure = StoreFailure(error)
            self.settle(deed) { deed in
                for place in places { deed.refusals[place] = .failed(failure) }
                if error == .connectionLost(mayBeDone: true) { deed.isUnconfirmed = true }
            }
        case .number(let number, _), .probe(let number, _):
            self.settle(number) { deed in deed.failure = deed.failure ?? StoreFailure(error, about: deed.request.subject) }
        case .line(let part, let place, _): self.lineFailed(error, part, place)
        case .confirmLine(let part, let place, _): self.lineFailed(error, part, place)
        case .lines(let reading): self.linesFailed(reading, error)
        case .glance(let reading, let place): self.glanceFailed(reading, place, error)
        case .sweep: break
        case .confirm(let deed, _):
            // Whatever the reason: what it was to confirm may be done.
            self.settle(deed) { deed in
                deed.failure = deed.failure ?? StoreFailure(error)
                deed.isUnconfirmed = true
            }
        case .role(let master):
            // Of a connection that is there: the user may not ask.
            if error.isAnswer { self.learnRole(of: master, nil) }
        }
    }

    /// - Returns: whether it was asked.
    private func askAgain(_ call: StoreCall) -> Bool {
        self.body.with { body in
            do throws(RedisError) {
                switch call {
                case .read(let asker, let request):
                    try self.ask(request, asker, &body)
                case .claim(let deed, _), .write(let deed, _, _), .number(let deed, _), .probe(let deed, _):
                    guard let request = body.deeds[deed]?.request else { return false }
                    body.deeds[deed]?.commandsUnderWay -= 1
                    if case .write(_, _, let places?) = call, case .write(let batch) = request {
                        try self.send(batch, places, for: deed, &body)
                    } else {
                        try self.begin(deed, request, &body)
                    }
                case .lines(let reading):
                    try self.askForLines(reading, &body)
                case .glance(let reading, let place):
                    try self.glance(at: place, of: reading, &body)
                case .line, .confirmLine, .sweep, .confirm, .role:
                    return false
                }
                return true
            } catch {
                if let deed = call.deed { body.deeds[deed]?.commandsUnderWay += 1 }
                return false
            }
        }
    }

    /// A command of the deed is answered; with the last of them it is.
    private func settle(_ number: UInt64, _ note: (inout StoreDeed) -> Void) {
        self.settle(number) { deed, _ in note(&deed) }
    }

    func settle(_ number: UInt64, _ note: (inout StoreDeed, inout Body) -> Void) {
        self.body.with { body in
            guard var deed = body.deeds[number] else { return }
            note(&deed, &body)
            deed.commandsUnderWay = (body.deeds[number]?.commandsUnderWay ?? 1) - 1
            deed.unconfirmed = body.deeds[number]?.unconfirmed ?? []
            body.deeds[number] = deed
        }
        self.decide(number)
    }

    /// Asks for what a deed still needs, and answers it and those that waited for it when it needs nothing.
    func decide(_ number: UInt64) {
        let single: StoreDeed? = self.body.with { body in
            self.confirmIfDecided(number, &body)
            return body.deeds.takeDone(number)
        }
        if let single { self.answer(single) }
        while let write = self.body.with({ $0.deeds.takeNextWrite() }) { self.answer(write) }
    }

    private func answer(_ deed: StoreDeed) {
        var deed = deed
        // Where nothing waits for replicas, what may be done is found by loading it.
        if deed.isUnconfirmed, self.body.with({ !self.waitsForReplicas(deed.request, $0) }) { deed.isUnconfirmed = false }
        deed.asker.client.storeAnswered(deed.answer, ticket: deed.asker.ticket)
    }

    private func answer(to request: StoreRequest, _ reply: RedisReply) -> StoreAnswer {
        do throws(DamagedValue) {
            switch request {
            case .load: return .loaded(try StoredParts.loaded(reply))
            case .recent: return .recent(reply.isNull ? [] : try StoredParts.recent(reply))
            case .page, .changes: return .page(try StoredParts.page(reply))
            case .amended:
                var page = try StoredParts.page(reply)
                page.amended.sort { $0.revision < $1.revision }
                return .page(page)
            case .unread: return .unread(Int(reply.integer ?? 0))
            case .users: return .users(StoredParts.users(reply))
            case .claim, .write, .numbers, .nextNumber, .probe: preconditionFailure("a deed is no read")
            case .memberships, .catalog: preconditionFailure("a list is read in several steps")
            }
        } catch {
            return .failed(StoreFailure(error, about: request.subject))
        }
    }

    public func redisChanged(_ state: RedisClient.State) {
        // Another server may have other replicas.
        self.forgetRole()
        let whenBack: (@Sendable () -> Void)? = self.body.with { body in
            if case .ready = state { body.isReady = true } else { body.isReady = false }
            body.askRoleAt = MonotonicTime(nanoseconds: 0)
            self.askRole(now: .now, &body)
            guard body.isReady else { return nil }
            defer { body.wasThere = true }
            return body.wasThere ? body.whenBack : nil
        }
        whenBack?()
    }
}
