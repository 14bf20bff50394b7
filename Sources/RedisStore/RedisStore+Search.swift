import ChatModel
import EventLoop
import RedisClient

/// Searches messages. There is no index: the store reads the stream backwards, so a deleted message
/// is never found, and nothing can become inconsistent.
extension RedisStore {
    static let search = RedisScript(StoreScripts.search)

    func startSearch(_ search: MessageSearch, _ state: inout State) throws(RedisError) {
        switch state.searches.add(search) {
        case .started(let searchID):
            do throws(RedisError) {
                try self.requestMessages(for: searchID, &state)
            } catch {
                // Nothing waits, because a search that waits follows four others.
                _ = state.searches.end(searchID)
                throw error
            }
        case .waits: break
        case .full:
            search.requester.client.storeAnswered(
                .failed(StoreFailure("too many searches are waiting", effect: .none)),
                ticket: search.requester.ticket)
        }
    }

    func requestMessages(for searchID: MessageSearchID, _ state: inout State) throws(RedisError) {
        guard let search = state.searches[searchID] else { return }
        let shard = Shard.of(search.key)
        try self.sendCommand(.search(searchID), self.settings.slot(of: shard), &state) {
            command, arguments in
            arguments.append(Self.search, of: search.key, in: shard, to: &command)
            if let before = search.before {
                command.append(clamped: before)
            } else {
                command.append("")
            }
            command.append(MessageSearch.pageSize)
        }
    }

    func searchReceived(_ searchID: MessageSearchID, _ reply: RedisReply) {
        let answer: StoreAnswer? = self.loopState.with { state in
            guard let key = state.searches[searchID]?.key else { return nil }
            do throws(DamagedValue) {
                if let page = try state.searches[searchID]?.search(reply) { return .found(page) }
            } catch {
                return .failed(StoreFailure(error, about: key.description))
            }
            do throws(RedisError) {
                try self.requestMessages(for: searchID, &state)
                return nil
            } catch {
                return .failed(StoreFailure(error))
            }
        }
        if let answer { self.endSearch(searchID, answer) }
    }

    func searchFailed(_ searchID: MessageSearchID, _ error: RedisError) {
        let key = self.loopState.with { $0.searches[searchID]?.key }
        self.endSearch(searchID, .failed(StoreFailure(error, about: key?.description)))
    }

    /// Answers a search and starts the next one. If that cannot be sent, it ends too.
    private func endSearch(_ searchID: MessageSearchID, _ answer: StoreAnswer) {
        var ended: (id: MessageSearchID, answer: StoreAnswer)? = (searchID, answer)
        while let (id, answer) = ended {
            ended = nil
            let search: MessageSearch? = self.loopState.with { state in
                let search = state.searches[id]
                guard let next = state.searches.end(id) else { return search }
                do throws(RedisError) {
                    try self.requestMessages(for: next, &state)
                } catch {
                    ended = (next, .failed(StoreFailure(error)))
                }
                return search
            }
            guard let requester = search?.requester else { return }
            requester.client.storeAnswered(answer, ticket: requester.ticket)
        }
    }
}
