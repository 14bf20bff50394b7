import Bytes
import ChatEngine
import ChatModel
import DialectKit
import EventLoop

/// The searches of sessions: one of each user at a time (`SearchAdmission`).
extension ChatBridge {
    mutating func beginSearch(
        _ connection: Connection, _ webSocket: WebSocketState, _ request: StoreRequest,
        _ tag: RequestTag
    ) {
        guard case .search(let key, let query, let before, let limit, _) = request else { return }
        let user = webSocket.session?.principal?.person.id
        let permit: SearchPermit
        do throws(SearchRefusal) {
            permit = try self.context.shared.searches.begin(
                for: LimitKey(user, tenant: key.tenant, from: connection.peer.ip))
        } catch {
            webSocket.session?.receivedStoreAnswer(
                .searchRefused(error), for: tag, into: &self.steps)
            return
        }
        self.blockReading(connection, webSocket)
        self.searches[connection.token] = permit
        let attempt = RequestContext.SearchAttempt(
            request: .search(key, query, before: before, limit: limit, permit: permit),
            conversation: key, permit: permit, amendedThrough: self.chat.amendedThrough(in: key),
            count: 1)
        self.submitSearch(attempt, tag, for: connection.token)
    }

    mutating func search(
        again attempt: RequestContext.SearchAttempt, _ tag: RequestTag, for token: SocketToken
    ) {
        let next = RequestContext.SearchAttempt(
            request: attempt.request, conversation: attempt.conversation, permit: attempt.permit,
            amendedThrough: self.chat.amendedThrough(in: attempt.conversation),
            count: attempt.count + 1)
        self.submitSearch(next, tag, for: token)
    }

    private mutating func submitSearch(
        _ attempt: RequestContext.SearchAttempt, _ tag: RequestTag, for token: SocketToken
    ) {
        self.submit(attempt.request, RequestContext(token: token, kind: .search(tag, attempt)))
    }

    /// The store has answered a search. The client may search again as soon as it has the answer.
    mutating func endSearch(_ attempt: RequestContext.SearchAttempt, of token: SocketToken) {
        attempt.permit.end()
        self.searches[token] = nil
    }

    /// Cancels the search of a connection, if there is one.
    mutating func cancelSearch(of token: SocketToken) {
        self.searches.removeValue(forKey: token)?.cancel()
    }
}
