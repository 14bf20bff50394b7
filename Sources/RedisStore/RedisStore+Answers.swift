import Bytes
import ChatModel
import EventLoop
public import RedisClient

/// What Redis says to what was asked.
extension RedisStore {
    public func redisReplied(_ reply: RedisReply, to tag: UInt64) {
        guard let call = self.loopState.with({ $0.pendingCommands.remove(tag) }) else { return }
        switch call {
        case .read(let asker, let request):
            asker.client.storeAnswered(self.answer(to: request, reply), ticket: asker.ticket)
        case .claim(let number, let slot):
            self.completeCommand(number) { deed, body in
                deed.epoch = Int(reply.integer ?? 0)
                if reply.integer == nil { deed.outdatedBy = reply[0]?.integer.map { Int($0) } }
                self.recordConnection(of: number, slot, &body)
            }
        case .write(let number, let slot, let places):
            self.completeCommand(number) { deed, body in
                deed.recordRefusals(reply, at: places)
                self.recordConnection(of: number, slot, &body)
            }
        case .number(let number, let slot):
            self.completeCommand(number) { deed, body in
                deed.recordNumbers(reply)
                self.recordConnection(of: number, slot, &body)
            }
        case .probe(let number, let slot):
            self.completeCommand(number) { self.recordConnection(of: number, slot, &$1) }
        case .entry(let part, let place, let slot): self.entryWritten(part, place, slot)
        case .confirmEntry(let part, let place, let slot):
            self.entryConfirmed(by: Int(reply.integer ?? 0), part, place, slot)
        case .entries(let reading): self.entriesReceived(reading, reply)
        case .summary(let reading, let place): self.summaryReceived(reading, place, reply)
        case .removeStale: break
        case .confirm(let deed, let slot):
            self.confirmed(by: Int(reply.integer ?? 0), deed, slot)
        case .role(let master):
            self.recordRole(of: master, reply.replicaCount)
        }
    }

    public func redisFailed(_ error: RedisError, tag: UInt64) {
        guard let call = self.loopState.with({ $0.pendingCommands.remove(tag) }) else { return }
        // The scripts are being loaded again, ahead of whatever is asked from here on.
        if error == .scriptLost, self.retry(call) { return }
        switch call {
        case .read(let asker, let request):
            asker.client.storeAnswered(
                .failed(StoreFailure(error, about: request.subject)), ticket: asker.ticket)
        case .claim(let deed, _), .write(let deed, _, nil):
            let isInDoubt = error == .connectionLost(mayBeDone: true)
            self.completeCommand(deed) { deed in
                deed.failure = deed.failure ?? StoreFailure(error, about: deed.request.subject)
                if isInDoubt { deed.isUnconfirmed = true }
            }
        case .write(let deed, _, let places?):
            let failure = StoreFailure(error)
            self.completeCommand(deed) { deed in
                for place in places { deed.refusals[place] = .failed(failure) }
                if error == .connectionLost(mayBeDone: true) { deed.isUnconfirmed = true }
            }
        case .number(let number, _), .probe(let number, _):
            self.completeCommand(number) { deed in
                deed.failure = deed.failure ?? StoreFailure(error, about: deed.request.subject)
            }
        case .entry(let part, let place, _): self.entryFailed(error, part, place)
        case .confirmEntry(let part, let place, _): self.entryFailed(error, part, place)
        case .entries(let reading): self.entriesFailed(reading, error)
        case .summary(let reading, let place): self.summaryFailed(reading, place, error)
        case .removeStale: break
        case .confirm(let deed, _):
            // Whatever the reason: what it was to confirm may be done.
            self.completeCommand(deed) { deed in
                deed.failure = deed.failure ?? StoreFailure(error)
                deed.isUnconfirmed = true
            }
        case .role(let master):
            // Of a connection that is there: the user may not ask.
            if error.isFromServer { self.recordRole(of: master, nil) }
        }
    }

    /// - Returns: whether it was asked.
    private func retry(_ call: PendingCommand) -> Bool {
        self.loopState.with { body in
            do throws(RedisError) {
                switch call {
                case .read(let asker, let request):
                    try self.dispatch(request, asker, &body)
                case .claim(let deed, _), .write(let deed, _, _), .number(let deed, _),
                    .probe(let deed, _):
                    guard let request = body.operations[deed]?.request else { return false }
                    body.operations[deed]?.pendingCommandCount -= 1
                    if case .write(_, _, let places?) = call, case .write(let batch) = request {
                        try self.sendWrites(batch, places, for: deed, &body)
                    } else {
                        try self.startOperation(deed, request, &body)
                    }
                case .entries(let reading):
                    try self.requestEntries(reading, &body)
                case .summary(let reading, let place):
                    try self.requestSummary(at: place, of: reading, &body)
                case .entry, .confirmEntry, .removeStale, .confirm, .role:
                    return false
                }
                return true
            } catch {
                if let deed = call.operation { body.operations[deed]?.pendingCommandCount += 1 }
                return false
            }
        }
    }

    /// A command of the deed is answered; with the last of them it is.
    private func completeCommand(_ number: UInt64, _ note: (inout StoreOperation) -> Void) {
        self.completeCommand(number) { deed, _ in note(&deed) }
    }

    func completeCommand(_ number: UInt64, _ note: (inout StoreOperation, inout State) -> Void) {
        self.loopState.with { body in
            guard var deed = body.operations[number] else { return }
            note(&deed, &body)
            deed.pendingCommandCount = (body.operations[number]?.pendingCommandCount ?? 1) - 1
            deed.unconfirmedWrites = body.operations[number]?.unconfirmedWrites ?? []
            body.operations[number] = deed
        }
        self.advance(number)
    }

    /// Asks for what a deed still needs, and answers it and those that waited for it when it needs nothing.
    func advance(_ number: UInt64) {
        let single: StoreOperation? = self.loopState.with { body in
            self.confirmIfReplicasKnown(number, &body)
            return body.operations.removeIfComplete(number)
        }
        if let single { self.answer(single) }
        while let write = self.loopState.with({ $0.operations.removeNextCompleteWrite() }) {
            self.answer(write)
        }
    }

    private func answer(_ deed: StoreOperation) {
        var deed = deed
        // Where nothing waits for replicas, what may be done is found by loading it.
        if deed.isUnconfirmed, self.loopState.with({ !self.waitsForReplicas(deed.request, $0) }) {
            deed.isUnconfirmed = false
        }
        deed.requester.client.storeAnswered(deed.answer, ticket: deed.requester.ticket)
    }

    private func answer(to request: StoreRequest, _ reply: RedisReply) -> StoreAnswer {
        do throws(DamagedValue) {
            switch request {
            case .load: return .loaded(try ReplyDecoder.loaded(reply))
            case .recent: return .recent(reply.isNull ? [] : try ReplyDecoder.recent(reply))
            case .page, .changes: return .page(try ReplyDecoder.page(reply))
            case .amended:
                var page = try ReplyDecoder.page(reply)
                page.amended.sort { $0.revision < $1.revision }
                return .page(page)
            case .unread: return .unread(Int(reply.integer ?? 0))
            case .users: return .users(ReplyDecoder.users(reply))
            case .claim, .write, .numbers, .nextNumber, .probe:
                preconditionFailure("a deed is no read")
            case .memberships, .catalog: preconditionFailure("a list is read in several steps")
            }
        } catch {
            return .failed(StoreFailure(error, about: request.subject))
        }
    }

    public func redisChanged(_ state: RedisClient.State) {
        // Another server may have other replicas.
        self.forgetReplicaCounts()
        let whenBack: (@Sendable () -> Void)? = self.loopState.with { body in
            if case .ready = state { body.isReady = true } else { body.isReady = false }
            body.nextRoleQueryAt = MonotonicTime(nanoseconds: 0)
            self.queryRoles(now: .now, &body)
            guard body.isReady else { return nil }
            defer { body.wasConnected = true }
            return body.wasConnected ? body.reconnectHandler : nil
        }
        whenBack?()
    }
}
