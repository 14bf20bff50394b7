import Bytes
import ChatCore
import ChatEngine
import ChatModel
import DialectKit
import EventLoop

/// Passes requests of sessions to the chat engine, and its answers to sessions.
extension ChatBridge {
    // MARK: Requests of sessions

    mutating func join(
        _ connection: Connection, _ webSocket: WebSocketState, _ key: ConversationKey,
        _ joinRequest: JoinRequest,
        from start: StartPosition, _ tag: RequestTag
    ) {
        if let ban = self.ban(of: webSocket, from: key) {
            webSocket.session?.answered(
                .failed(.banned(ban.notice)), to: tag, isDelivered: false, into: &self.steps)
            return
        }
        if let error = self.entryRefusal(key, connection, webSocket) {
            webSocket.session?.answered(
                .failed(error), to: tag, isDelivered: false, into: &self.steps)
            return
        }
        // The final context contains the feed, which is known only after the call.
        let context = self.requestContexts.add(
            RequestContext(token: connection.token, kind: .command(tag, nil)))
        let (feed, request) = self.chat.subscribe(
            to: key, with: joinRequest, context: context, requestedAt: self.requestedAt(tag),
            at: self.context.now)
        self.requestContexts.replace(
            context,
            with: RequestContext(
                token: connection.token, kind: .join(feed, key, from: start, tag)))
        webSocket.pendingJoins.append(
            WebSocketState.UnansweredJoin(request: request, feed: feed, context: context))
        self.blockReading(connection, webSocket)
    }

    mutating func submitCommand(
        _ connection: Connection, _ webSocket: WebSocketState, _ command: ChatCommand,
        in key: ConversationKey,
        _ tag: RequestTag?
    ) {
        if let ban = self.ban(of: webSocket, from: key) {
            guard let tag else { return }
            webSocket.session?.answered(
                .failed(.banned(ban.notice)), to: tag, isDelivered: false, into: &self.steps)
            return
        }
        if let error = self.storageRefusal(of: command, in: key, connection, webSocket) {
            guard let tag else { return }
            webSocket.session?.answered(
                .failed(error), to: tag, isDelivered: false, into: &self.steps)
            return
        }
        let token = connection.token
        let feed = webSocket.subscriptions.first { $0.conversation == key }?.feed
        let context = tag.map {
            self.requestContexts.add(RequestContext(token: token, kind: .command($0, feed)))
        }
        if context != nil { webSocket.unansweredCommandCount += 1 }
        self.chat.submit(
            command, in: key, through: feed, context: context, requestedAt: self.requestedAt(tag),
            at: self.context.now)
    }

    /// Asks the chat engine whether a WebSocket may be opened.
    mutating func submitUpgrade(
        _ request: UpgradeRequest, _ command: ChatCommand, in key: ConversationKey,
        for connection: Connection
    ) {
        if let ban = self.context.bans.ban(of: command.user, from: key, at: self.context.now.wall) {
            return self.queues.upgrades.append(
                (connection.token, request, .failed(.banned(ban.notice))))
        }
        let context = self.requestContexts.add(
            RequestContext(token: connection.token, kind: .upgrade(request)))
        self.chat.submit(command, in: key, context: context, at: self.context.now)
    }

    /// Submits a command that comes from no connection.
    mutating func submitOperatorCommand(
        _ command: ChatCommand, in key: ConversationKey,
        reply: @escaping @Sendable (ChatAnswer) -> Void
    ) {
        let context = self.requestContexts.add(
            RequestContext(
                token: SocketToken(slot: 0, generation: 0), kind: .operatorCommand(reply)))
        self.chat.submit(command, in: key, context: context, at: self.context.now)
    }

    /// When the client sent the request that the session now passes on.
    private func requestedAt(_ tag: RequestTag?) -> Int64 {
        if let tag, tag.requestedAt != 0 { return tag.requestedAt }
        return self.steps.receivedAt != 0 ? self.steps.receivedAt : self.context.now.monotonic
    }

    mutating func readPage(
        _ connection: Connection, _ webSocket: WebSocketState, _ key: ConversationKey,
        _ range: PageRange, thread root: SequenceNumber? = nil, _ limit: Int, _ tag: RequestTag
    ) {
        let context = self.requestContexts.add(
            RequestContext(token: connection.token, kind: .page(tag, key)))
        let limit = PageLimit(messages: limit, bytes: self.steps.limits.pageBytes)
        if let root {
            self.chat.readThread(key, root: root, range, limit: limit, context: context)
        } else {
            self.chat.readPage(key, range, limit: limit, context: context)
        }
        self.blockReading(connection, webSocket)
    }

    mutating func fetch(
        _ connection: Connection, _ webSocket: WebSocketState, _ request: StoreRequest,
        _ tag: RequestTag
    ) {
        if case .search = request {
            return self.beginSearch(connection, webSocket, request, tag)
        }
        self.blockReading(connection, webSocket)
        self.submit(request, RequestContext(token: connection.token, kind: .fetch(tag)))
    }

    mutating func submit(_ request: StoreRequest, _ requestContext: RequestContext) {
        let context = self.requestContexts.add(requestContext)
        self.context.store.submit(
            request, ticket: StoreTicket(rawValue: context.rawValue), for: self.store.sessionsClient
        )
    }

    mutating func handleFetchReply(_ answer: StoreAnswer, for context: RequestContextID) {
        guard let requestContext = self.requestContexts.remove(context) else { return }
        if case .numbers(let use, let users, let tenant) = requestContext.kind {
            return self.handleNumbersReply(answer, use, users, tenant, requestContext)
        }
        guard let (connection, webSocket) = self.pool.openWebSocket(requestContext.token) else {
            if case .search(_, let attempt) = requestContext.kind {
                self.endSearch(attempt, of: requestContext.token)
            }
            return
        }
        var answer: StoreAnswer? = answer
        let tag: RequestTag
        switch requestContext.kind {
        case .fetch(let requestTag): tag = requestTag
        case .search(let requestTag, let attempt):
            tag = requestTag
            if self.chat.amendedThrough(in: attempt.conversation) > attempt.amendedThrough {
                guard attempt.count == RequestContext.SearchAttempt.limit else {
                    return self.search(again: attempt, tag, for: requestContext.token)
                }
                answer = nil
            }
            self.endSearch(attempt, of: requestContext.token)
        default: return
        }
        let answered = answer.flatMap { self.withoutBanned($0, for: webSocket) }
        webSocket.session?.receivedStoreAnswer(answered, for: tag, into: &self.steps)
        self.runSteps(connection, webSocket, isPaced: true)
        guard connection.isConnected, !webSocket.hasSentClose else { return }
        self.unblockReading(connection, webSocket)
    }

    /// Pauses reading from the client until a reply has arrived and has been sent.
    mutating func blockReading(_ connection: Connection, _ webSocket: WebSocketState) {
        if webSocket.blockingReplyCount == 0 { webSocket.blockedSince = self.context.tickNumber }
        webSocket.blockingReplyCount += 1
        self.pool.pauseReading(connection)
    }

    /// When the frame that is being read was sent, as early as possible. If the connection was
    /// waiting for a reply, the frame may have arrived when the wait began.
    func receivedAt(_ webSocket: WebSocketState) -> Int64 {
        guard webSocket.blockedSince != 0, self.context.tickNumber <= webSocket.unblockedAt + 1
        else {
            return self.context.now.monotonic
        }
        return self.context.time(ofTick: webSocket.blockedSince)
    }

    mutating func unblockReading(_ connection: Connection, _ webSocket: WebSocketState) {
        webSocket.blockingReplyCount = max(0, webSocket.blockingReplyCount - 1)
        if webSocket.blockingReplyCount == 0 { webSocket.unblockedAt = self.context.tickNumber }
        self.acceptIfEntered(connection, webSocket)
        self.resumeReadingIfUnblocked(connection, webSocket)
    }

    mutating func resumeReadingIfUnblocked(_ connection: Connection, _ webSocket: WebSocketState) {
        guard webSocket.blockingReplyCount == 0, connection.isConnected,
            connection.backlog.isEmpty, webSocket.rate?.isPaused != true,
            !webSocket.isDrainDue(at: self.context.now.monotonic)
        else { return }
        self.pool.resumeReading(connection)
    }

    // MARK: Deliveries and answers

    @inline(never)  // Inlined, it would get copies.
    mutating func deliver(_ delivery: Delivery) {
        switch delivery {
        case .event(let feed, let event, let context):
            self.broadcast(event, to: feed, context: context)
            if case .left(let member, _) = event { self.removeMember(member.user, from: feed) }
            if let context { self.handleAnswer(context, event.answer, isDelivered: true) }
        case .answer(let context, let answer, let isDelivered, let isLate):
            self.handleAnswer(context, answer, isDelivered: isDelivered, isLate: isLate)
        case .page(let context, let page):
            self.handlePageReply(context, page)
        case .pageFailed(let context):
            self.handlePageReply(context, nil)
        }
    }

    /// - Parameters:
    ///   - isDelivered: whether the feed delivers the answer's event. Only subscribers get that
    ///     event.
    ///   - isLate: whether the feed delivers it later than an answer may come.
    private mutating func handleAnswer(
        _ context: RequestContextID, _ answer: ChatAnswer, isDelivered: Bool, isLate: Bool = false
    ) {
        guard let requestContext = self.requestContexts.remove(context) else { return }
        switch requestContext.kind {
        case .command(let tag, let feed):
            guard let (connection, webSocket) = self.pool.openWebSocket(requestContext.token) else {
                return
            }
            webSocket.unansweredCommandCount -= 1
            var answer = answer
            if isLate, webSocket.session?.isAnsweredByEvent(tag) == true {
                answer = .failed(.outcomeUnknown)
            }
            if case .failed(let error) = answer {
                let conversation = webSocket.subscriptions.first { $0.feed == feed }?.conversation
                self.context.logRejected(error, connection, webSocket, in: conversation)
            }
            var isDelivered =
                feed != nil && (isDelivered || self.willBeDelivered(answer, feed, webSocket))
            if case .posted(let message, let isRepeat) = answer {
                self.context.counters.stored[webSocket.dialect + 1] &+= 1
                isDelivered =
                    isDelivered && !self.isAnswered(message, isRepeat: isRepeat, feed, webSocket)
            }
            webSocket.session?.answered(
                answer, to: tag, isDelivered: isDelivered, into: &self.steps)
            self.runSteps(connection, webSocket)
        case .join(let feed, let key, let start, let tag):
            guard let (connection, webSocket) = self.pool.openWebSocket(requestContext.token) else {
                return
            }
            webSocket.pendingJoins.removeAll { $0.context == context }
            // Frees the array's storage, because most connections are idle.
            if webSocket.pendingJoins.isEmpty { webSocket.pendingJoins = [] }
            switch answer {
            case .joined(let result):
                self.joined(result, connection, webSocket)
                if webSocket.subscriptions.contains(where: { $0.feed == feed }),
                    let user = webSocket.session?.principal?.person.id
                {
                    // One subscription is enough: with two, the client would get events twice.
                    self.chat.unsubscribe(from: feed, user: user)
                } else {
                    self.subscribe(connection, webSocket, feed, key, result, from: start)
                    self.context.logJoined(connection, webSocket, key)
                }
            case .failed(let error):
                self.context.logRejected(error, connection, webSocket, in: key)
            default: break
            }
            webSocket.session?.answered(answer, to: tag, isDelivered: false, into: &self.steps)
            self.runSteps(connection, webSocket)
            if connection.isConnected, !webSocket.hasSentClose {
                self.unblockReading(connection, webSocket)
            }
        case .upgrade(let request):
            self.queues.upgrades.append((requestContext.token, request, answer))
        case .operatorCommand(let reply): reply(answer)
        case .page, .catchUp, .fetch, .search, .numbers: break
        }
    }

    /// Whether an earlier send of the connection has the message as its answer already: then a
    /// repeat of it needs another one. Records that the message answers a send.
    private func isAnswered(
        _ message: Message, isRepeat: Bool, _ feed: FeedID?, _ webSocket: WebSocketState
    ) -> Bool {
        guard let index = webSocket.subscriptions.firstIndex(where: { $0.feed == feed }) else {
            return false
        }
        if let state = webSocket.subscriptions[index].catchUp {
            state.acknowledgedSends.insert(message.sequence)
            return false
        }
        let answeredThrough = webSocket.subscriptions[index].answeredThrough
        webSocket.subscriptions[index].answeredThrough = max(answeredThrough, message.sequence)
        return isRepeat && message.sequence <= answeredThrough
    }

    /// Whether the replay will deliver a message that the client sent again. Delivered at once, the
    /// message would precede older ones and come a second time.
    private func willBeDelivered(_ answer: ChatAnswer, _ feed: FeedID?, _ webSocket: WebSocketState)
        -> Bool
    {
        guard case .posted(let message, _) = answer,
            let state = webSocket.subscriptions.first(where: { $0.feed == feed })?.catchUp
        else {
            return false
        }
        return message.sequence > max(state.sentThrough, state.unverifiedPosition?.through ?? 0)
    }

    private mutating func handlePageReply(_ context: RequestContextID, _ page: MessagePage?) {
        guard let requestContext = self.requestContexts.remove(context),
            let (connection, webSocket) = self.pool.openWebSocket(requestContext.token)
        else { return }
        switch requestContext.kind {
        case .page(let tag, let key):
            webSocket.session?.receivedPage(page, for: tag, into: &self.steps)
            let shown =
                self.steps.shownMessages
                ?? page?.shown(page?.messages.count ?? 0, isForward: true)
            self.runSteps(connection, webSocket, isPaced: true)
            guard connection.isConnected, !webSocket.hasSentClose else { return }
            if let shown, let user = webSocket.session?.principal?.person.id,
                let feed = webSocket.subscriptions.first(where: { $0.conversation == key })?.feed
            {
                self.chat.recordDelivery(in: feed, to: user, of: shown)
            }
            self.unblockReading(connection, webSocket)
        case .catchUp(let feed, let query):
            self.applyCatchUpPage(connection, webSocket, feed, query, with: page)
        case .command, .join, .fetch, .search, .upgrade, .numbers, .operatorCommand:
            break
        }
    }
}
