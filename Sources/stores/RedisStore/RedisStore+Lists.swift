import Bytes
import ChatModel
import EventLoop
import RedisClient

/// Reads lists of conversations. One batch sends all its commands at once, one for each
/// conversation, because in Redis Cluster the conversations lie in different slots. Short scripts
/// also keep Redis responsive.
extension RedisStore {
    func startPaging(
        _ request: StoreRequest, _ requester: PendingCommand.StoreRequester, _ state: inout State
    ) throws(RedisError) {
        guard let pager = ListPager(request, for: requester, state.arguments) else {
            let failure = StoreFailure(
                "after: it is not a valid cursor in \(request.subject ?? "a list")",
                isRequestSpecific: true)
            return requester.client.storeAnswered(.failed(failure), ticket: requester.ticket)
        }
        let pagerID = ListPagerID(rawValue: state.pagers.insert(pager))
        do throws(RedisError) {
            try self.requestEntries(pagerID, &state)
        } catch {
            _ = state.pagers.remove(pagerID.rawValue)
            throw error
        }
    }

    func requestEntries(_ pagerID: ListPagerID, _ state: inout State) throws(RedisError) {
        guard let pager = state.pagers[pagerID.rawValue] else { return }
        try self.sendCommand(.entries(pagerID), self.settings.slot(of: pager.redisKey), &state) {
            command, _ in
            command.append(StoreScripts.listEntries, keyCount: 1)
            command.append(text: pager.redisKey)
            command.append(pager.isCatalog ? "down" : "up")
            if let cursor = pager.cursor {
                command.append(cursor.time.milliseconds)
                command.append(text: cursor.id)
            } else {
                command.append("")
                command.append("")
            }
            command.append(pager.entryLimit)
        }
    }

    func requestSummary(at position: Int, of pagerID: ListPagerID, _ state: inout State)
        throws(RedisError)
    {
        guard let pager = state.pagers[pagerID.rawValue] else { return }
        let key = pager.conversation(at: position)
        let shard = Shard.of(key)
        try self.sendCommand(
            .summary(pagerID, position: position), self.settings.slot(of: shard), &state
        ) { command, arguments in
            arguments.append(StoreScripts.summary, of: key, in: shard, to: &command)
            if case .memberships(let user, _, _, _, let unreadLimit) = pager.request {
                command.append(text: user.storageKey)
                command.append(clamped: max(0, unreadLimit))
                arguments.append(mentionOf: user, to: &command)
            }
        }
    }

    func entriesReceived(_ pagerID: ListPagerID, _ reply: RedisReply) {
        self.loopState.with { state in
            do throws(DamagedValue) {
                state.pagers[pagerID.rawValue]?.beginBatch(try ReplyDecoder.indexEntries(reply))
            } catch {
                let subject = state.pagers[pagerID.rawValue]?.request.subject
                state.pagers[pagerID.rawValue]?.failure = StoreFailure(error, about: subject)
                return
            }
            for position in state.pagers[pagerID.rawValue]?.entries.indices ?? 0..<0 {
                do throws(RedisError) {
                    try self.requestSummary(at: position, of: pagerID, &state)
                } catch {
                    state.pagers[pagerID.rawValue]?.failure = StoreFailure(error)
                    state.pagers[pagerID.rawValue]?.record(nil, at: position)
                }
            }
        }
        self.continuePaging(pagerID)
    }

    func entriesFailed(_ pagerID: ListPagerID, _ error: RedisError) {
        self.loopState.with { state in
            let subject = state.pagers[pagerID.rawValue]?.request.subject
            state.pagers[pagerID.rawValue]?.failure = StoreFailure(error, about: subject)
            state.pagers[pagerID.rawValue]?.isInterrupted = error.isInterruption
        }
        self.continuePaging(pagerID)
    }

    func summaryReceived(_ pagerID: ListPagerID, _ position: Int, _ reply: RedisReply) {
        self.loopState.with { state in
            guard let pager = state.pagers[pagerID.rawValue] else { return }
            let key = pager.conversation(at: position)
            var summary = ListPager.EntrySummary.nothing
            do throws(DamagedValue) {
                if case .memberships(let user, _) = pager.indexKey {
                    if let membership = try ReplyDecoder.membership(key, of: user, reply) {
                        summary = .membership(membership)
                    }
                } else {
                    if let entry = try ReplyDecoder.catalogEntry(key, reply) {
                        summary = .catalogEntry(entry)
                    }
                }
            } catch {
                summary = .damaged(StoreFailure(error, about: key.description))
            }
            state.pagers[pagerID.rawValue]?.record(summary, at: position)
        }
        self.continuePaging(pagerID)
    }

    func summaryFailed(_ pagerID: ListPagerID, _ position: Int, _ error: RedisError) {
        self.loopState.with { state in
            guard let pager = state.pagers[pagerID.rawValue] else { return }
            let failure = StoreFailure(error, about: pager.conversation(at: position).description)
            if !failure.isRequestSpecific {
                state.pagers[pagerID.rawValue]?.failure = failure
                state.pagers[pagerID.rawValue]?.isInterrupted = error.isInterruption
            }
            state.pagers[pagerID.rawValue]?.record(
                failure.isRequestSpecific ? .damaged(failure) : nil, at: position)
        }
        self.continuePaging(pagerID)
    }

    /// Continues or answers the request after a batch is complete.
    private func continuePaging(_ pagerID: ListPagerID) {
        let done: ListPager? = self.loopState.with { state in
            guard let pager = state.pagers[pagerID.rawValue], pager.isBatchComplete else {
                return nil
            }
            if pager.failure == nil,
                let stale = state.pagers[pagerID.rawValue]?.finishBatch(
                    at: WallClock.now, staleEntryAge: self.settings.staleEntryAge)
            {
                self.removeStale(stale, from: pager.redisKey, &state)
            }
            if state.pagers[pagerID.rawValue]?.isComplete == false {
                do throws(RedisError) {
                    try self.requestEntries(pagerID, &state)
                    return nil
                } catch {
                    state.pagers[pagerID.rawValue]?.failure = StoreFailure(error)
                }
            }
            return state.pagers.remove(pagerID.rawValue)
        }
        if let done {
            if done.isInterrupted, self.retryLater(done.request, done.requester) { return }
            done.requester.client.storeAnswered(done.answer, ticket: done.requester.ticket)
        }
    }

    /// Removes the index entries of guests whose memberships have ended. A guest lists nothing any
    /// more when it is gone, so its stale entries would never be found.
    ///
    /// - Parameter positions: the writes of the operation that are answered; nil for all.
    func removeEntriesOfFormerGuests(
        _ operation: StoreOperation, at positions: [Int]?, _ state: inout State
    ) {
        guard case .write(let batch) = operation.request else { return }
        // An entry that has been written since then belongs to a new membership.
        let time = Timestamp(milliseconds: operation.startedAt.milliseconds - 1)
        for position in batch.writes.indices {
            guard let user = batch.writes[position].change.formerMember, user.isAnonymous,
                positions?.contains(position) ?? true, operation.refusals[position] == nil
            else { continue }
            let conversation = batch.writes[position].conversation
            let key = state.arguments.key(of: .memberships(user, conversation.tenant))
            self.removeStale([PageCursor(time: time, id: conversation.id)], from: key, &state)
        }
    }

    /// Ignores the outcome: an entry that remains will be found again.
    private func removeStale(_ entries: [PageCursor], from key: ByteString, _ state: inout State) {
        if entries.isEmpty { return }
        try? self.sendCommand(.removeStale, self.settings.slot(of: key), &state) { command, _ in
            command.append(StoreScripts.removeStale, keyCount: 1)
            command.append(text: key)
            for entry in entries {
                command.append(text: entry.id)
                command.append(entry.time.milliseconds)
            }
        }
    }
}

extension Write.Change {
    /// The user whose membership the change ends.
    fileprivate var formerMember: UserID? {
        switch self {
        case .remove(let user): user
        case .member(let member) where !member.role.isMember: member.user
        default: nil
        }
    }
}
