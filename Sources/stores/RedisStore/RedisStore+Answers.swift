import Bytes
import ChatModel
import EventLoop
public import RedisClient

/// Handles the replies of Redis.
extension RedisStore {
    public func redisReplied(_ reply: RedisReply, to tag: CommandTag) {
        guard let pendingCommand = self.loopState.with({ $0.pendingCommands.remove(tag.rawValue) })
        else { return }
        switch pendingCommand {
        case .read(let requester, let request):
            requester.client.storeAnswered(
                self.answer(to: request, reply), ticket: requester.ticket)
        case .claim(let operationID, let slot):
            self.completeCommand(operationID) { operation, state in
                operation.epoch = Int(reply.integer ?? 0)
                if reply.integer == nil { operation.outdatedBy = reply[0]?.integer.map { Int($0) } }
                self.recordConnection(of: operationID, slot, &state)
            }
        case .write(let operationID, let slot, let positions):
            self.completeCommand(operationID) { operation, state in
                operation.recordRefusals(reply, at: positions)
                self.signalOutbox(of: operation.request, at: positions)
                self.removeEntriesOfFormerGuests(operation, at: positions, &state)
                self.recordConnection(of: operationID, slot, &state)
            }
        case .number(let operationID, let slot):
            self.completeCommand(operationID) { operation, state in
                operation.recordNumbers(reply)
                self.recordConnection(of: operationID, slot, &state)
            }
        case .probe(let operationID, let slot):
            self.completeCommand(operationID) { self.recordConnection(of: operationID, slot, &$1) }
        case .entry(let partID, let position, let slot): self.entryWritten(partID, position, slot)
        case .confirmEntry(let partID, let position, let slot):
            self.entryConfirmed(by: Int(reply.integer ?? 0), partID, position, slot)
        case .entries(let pagerID): self.entriesReceived(pagerID, reply)
        case .summary(let pagerID, let position): self.summaryReceived(pagerID, position, reply)
        case .removeStale: break
        case .inspect(let completion): completion(.success(RedisValue(reply)))
        case .confirm(let operationID, let slot):
            self.confirmed(by: Int(reply.integer ?? 0), operationID, slot)
        case .role(let master):
            self.recordRole(of: master, reply.replicaCount)
        }
    }

    public func redisFailed(_ error: RedisError, tag: CommandTag) {
        guard let pendingCommand = self.loopState.with({ $0.pendingCommands.remove(tag.rawValue) })
        else { return }
        // The client is reloading the scripts, before any command that is sent from now on.
        if error == .scriptLost, self.retry(pendingCommand) { return }
        switch pendingCommand {
        case .read(let requester, let request):
            if error.isInterruption, self.retryLater(request, requester) { return }
            requester.client.storeAnswered(
                .failed(StoreFailure(error, about: request.subject)), ticket: requester.ticket)
        case .claim(let operationID, _), .write(let operationID, _, nil):
            let isInDoubt = error == .connectionLost(mayBeExecuted: true)
            self.completeCommand(operationID) { operation in
                operation.failure =
                    operation.failure ?? StoreFailure(error, about: operation.request.subject)
                if isInDoubt { operation.isUnconfirmed = true }
            }
        case .write(let operationID, _, let positions?):
            let failure = StoreFailure(error)
            self.completeCommand(operationID) { operation in
                for position in positions { operation.refusals[position] = .failed(failure) }
                if error == .connectionLost(mayBeExecuted: true) { operation.isUnconfirmed = true }
            }
        case .number(let operationID, _), .probe(let operationID, _):
            self.completeCommand(operationID) { operation in
                operation.failure =
                    operation.failure ?? StoreFailure(error, about: operation.request.subject)
                operation.isInterrupted = error.isInterruption
            }
        case .entry(let partID, let position, _): self.entryFailed(error, partID, position)
        case .confirmEntry(let partID, let position, _): self.entryFailed(error, partID, position)
        case .entries(let pagerID): self.entriesFailed(pagerID, error)
        case .summary(let pagerID, let position): self.summaryFailed(pagerID, position, error)
        case .removeStale: break
        case .inspect(let completion): completion(.failure(error))
        case .confirm(let operationID, _):
            self.completeCommand(operationID) { operation in
                // A replica that has rejected the write also rejects WAIT.
                if operation.failure?.effect == .rejected { return }
                // Whatever the reason, the write to be confirmed may be stored.
                operation.failure = operation.failure ?? StoreFailure(error)
                operation.isUnconfirmed = true
            }
        case .role(let master):
            // The server replied: the user may not send ROLE.
            if error.isFromServer { self.recordRole(of: master, nil) }
        }
    }

    /// - Returns: whether the command was sent again.
    private func retry(_ pendingCommand: PendingCommand) -> Bool {
        self.loopState.with { state in
            do throws(RedisError) {
                switch pendingCommand {
                case .read(let requester, let request):
                    try self.dispatch(request, requester, &state)
                case .claim(let operationID, _), .write(let operationID, _, _),
                    .number(let operationID, _),
                    .probe(let operationID, _):
                    guard let request = state.operations[operationID]?.request else { return false }
                    state.operations[operationID]?.pendingCommandCount -= 1
                    if case .write(_, _, let positions?) = pendingCommand,
                        case .write(let batch) = request
                    {
                        try self.sendWrites(batch, positions, for: operationID, &state)
                    } else {
                        try self.startOperation(operationID, request, &state)
                    }
                case .entries(let pagerID):
                    try self.requestEntries(pagerID, &state)
                case .summary(let pagerID, let position):
                    try self.requestSummary(at: position, of: pagerID, &state)
                case .entry, .confirmEntry, .removeStale, .inspect, .confirm, .role:
                    return false
                }
                return true
            } catch {
                if let operationID = pendingCommand.operation {
                    state.operations[operationID]?.pendingCommandCount += 1
                }
                return false
            }
        }
    }

    /// Records one command's outcome; the last one completes the operation.
    private func completeCommand(
        _ operationID: StoreOperationID, _ update: (inout StoreOperation) -> Void
    ) {
        self.completeCommand(operationID) { operation, _ in update(&operation) }
    }

    func completeCommand(
        _ operationID: StoreOperationID, _ update: (inout StoreOperation, inout State) -> Void
    ) {
        self.loopState.with { state in
            guard var operation = state.operations[operationID] else { return }
            update(&operation, &state)
            operation.pendingCommandCount =
                (state.operations[operationID]?.pendingCommandCount ?? 1) - 1
            operation.unconfirmedWrites = state.operations[operationID]?.unconfirmedWrites ?? []
            state.operations[operationID] = operation
        }
        self.advance(operationID)
    }

    /// Requests the confirmations that an operation still needs. Answers it, and the writes behind
    /// it, if it needs nothing more.
    func advance(_ operationID: StoreOperationID) {
        let single: StoreOperation? = self.loopState.with { state in
            self.confirmIfReplicasKnown(operationID, &state)
            return state.operations.removeIfComplete(operationID)
        }
        if let single { self.answer(single) }
        while let write = self.loopState.with({ $0.operations.removeNextCompleteWrite() }) {
            self.answer(write)
        }
    }

    private func answer(_ operation: StoreOperation) {
        var operation = operation
        // Without replicas to wait for, the owner finds a possibly stored write by loading the
        // conversation.
        if operation.isUnconfirmed,
            self.loopState.with({ !self.waitsForReplicas(operation.request, $0) })
        {
            operation.isUnconfirmed = false
        }
        if operation.isInterrupted, self.retryLater(operation.request, operation.requester) {
            return
        }
        operation.requester.client.storeAnswered(
            operation.answer, ticket: operation.requester.ticket)
    }

    private func answer(to request: StoreRequest, _ reply: RedisReply) -> StoreAnswer {
        do throws(DamagedValue) {
            switch request {
            case .load: return .loaded(try ReplyDecoder.loaded(reply))
            case .recent: return .recent(reply.isNull ? [] : try ReplyDecoder.recent(reply))
            case .page, .changes, .amended, .thread:
                return .page(try ReplyDecoder.page(reply))
            case .unread: return .unread(Int(reply.integer ?? 0))
            case .users: return .users(ReplyDecoder.users(reply))
            case .bans: return StoredBan.answer(reply)
            case .claim, .write, .numbers, .nextNumber, .ban, .unban, .repair, .probe:
                preconditionFailure("a write operation is not a read")
            case .memberships, .catalog, .conversations, .examine, .search, .outbox:
                preconditionFailure("the request has several steps")
            }
        } catch {
            return .failed(StoreFailure(error, about: request.subject))
        }
    }

    public func redisChanged(_ connectionState: RedisClient.State) {
        // Another server may have other replicas.
        self.forgetReplicaCounts()
        let handler: (@Sendable () -> Void)? = self.loopState.with { state in
            if case .ready = connectionState { state.isReady = true } else { state.isReady = false }
            state.nextRoleQueryAt = MonotonicTime(nanoseconds: 0)
            self.queryRoles(now: .now, &state)
            guard state.isReady else { return nil }
            defer { state.wasConnected = true }
            return state.wasConnected ? state.reconnectHandler : nil
        }
        handler?()
    }
}
