import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Cluster
import Configuration
import DialectKit
import EngineTransport
import EventLoop
import HTTPWire
import Identity
import JSON

/// Passes messages to sessions, and executes the steps of sessions.
extension ChatBridge {
    func makeWebSocketState(
        _ session: (any DialectSession)?, dialect: Int, acceptsCompression takesCompression: Bool,
        isCompressed: Bool, content: WebSocketState.MessageContent = .frames
    ) -> WebSocketState {
        WebSocketState(
            reader: WebSocketReader(role: .server, acceptsCompression: takesCompression),
            session: session, dialect: dialect, isCompressed: isCompressed,
            content: content)
    }

    /// Begins a WebSocket's session.
    mutating func beginSession(_ webSocket: WebSocketState, _ connection: Connection) {
        self.context.counters.connections[webSocket.dialect + 1] += 1
        webSocket.openedAt = self.context.now.monotonic
        // Engine.IO has its own pings.
        webSocket.pingAt =
            webSocket.content == .frames
            ? self.context.now.after(self.context.live.limits.ping) : 0
        // The connection came from another loop after this loop's drain had set the deadlines.
        if self.context.refusesClients { webSocket.drainAt = self.context.now.monotonic + 1 }
        connection.deadline = 0
        self.pool.recordActivity(connection)
        self.pool.scheduleTimer(connection)
        self.recordUser(connection, webSocket)
        self.context.logOpened(connection, webSocket)
        if let ban = self.ban(of: webSocket) {
            return self.closeBanned(connection, webSocket, ban.notice)
        }
        webSocket.session?.opened(into: &self.steps)
        self.runSteps(connection, webSocket)
        self.acceptIfEntered(connection, webSocket)
    }

    /// Sends the response to the upgrade when the conversations that the session enters at its
    /// opening are entered. A client gets every message that is sent after the response.
    func acceptIfEntered(_ connection: Connection, _ webSocket: WebSocketState) {
        guard connection.isConnected, self.pool.isHeld(connection), webSocket.pendingJoins.isEmpty
        else { return }
        // Missed changes follow the response.
        let replays = webSocket.subscriptions.count { $0.catchUp?.blocksReading == true }
        guard webSocket.blockingReplyCount <= replays else { return }
        self.pool.release(connection)
    }

    /// Handles a message for the dialect.
    mutating func receivedMessage(
        _ connection: Connection, _ webSocket: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        guard !webSocket.hasSentClose else { return }
        self.context.counters.messagesIn[webSocket.dialect + 1] &+= 1
        guard webSocket.dialect >= 0 else {
            self.echo(connection, webSocket, kind, bytes)
            return
        }
        if let feed = webSocket.subscriptions.first?.feed { self.chat.prefetchFeed(feed) }
        guard self.admit(connection, webSocket, byteCount: bytes.count) else { return }
        self.steps.receivedAt = self.receivedAt(webSocket)
        if kind == .binary {
            webSocket.session?.receivedBinary(into: &self.steps)
        } else {
            // The session parses a message that is too long anyway, because its error names the
            // frame's id. That costs no more than receiving it did.
            if bytes.count > self.context.live.limits.messageBytes {
                self.steps.exceededByteLimit = self.context.live.limits.messageBytes
            }
            webSocket.session?.received(
                bytes.bytes, reading: &self.document, at: self.context.now.wall, into: &self.steps)
        }
        self.runSteps(connection, webSocket)
        self.steps.receivedAt = 0
    }

    /// The client requested the echo, so it does not count against the limit for slow readers.
    /// Reading is paused until the echo has been sent.
    private mutating func echo(
        _ connection: Connection, _ webSocket: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        let frame = self.pool.frames.encode(
            kind == .text ? .text : .binary, bytes, compress: webSocket.isCompressed)
        self.pool.sendPaced(connection, frame)
        guard connection.isConnected, !connection.backlog.isEmpty else { return }
        self.pool.pauseReading(connection)
    }

    // MARK: Steps

    /// Executes a session's steps, in order.
    ///
    /// - Parameter isPaced: whether the client requested the replies, which may be large.
    mutating func runSteps(
        _ connection: Connection, _ webSocket: WebSocketState, isPaced: Bool = false
    ) {
        // By index, because a step may append further steps.
        var index = 0
        while index < self.steps.list.count {
            let step = self.steps.consumeStep(index)
            index += 1
            guard connection.isConnected, !webSocket.hasSentClose else { continue }
            switch consume step {
            case .reply(let range):
                self.reply(connection, webSocket, range, isPaced: isPaced)
            case .enter(let key, let joinRequest, let start, let tag):
                self.join(connection, webSocket, key, joinRequest, from: start, tag)
            case .unsubscribe(let key):
                self.unsubscribe(key, connection, webSocket)
            case .fetch(let request, let tag):
                self.fetch(connection, webSocket, request, tag)
            case .submit(let command, let key, let tag):
                self.submitCommand(connection, webSocket, command, in: key, tag)
            case .readPage(let key, let range, let limit, let tag):
                self.readPage(connection, webSocket, key, range, limit, tag)
            case .readThread(let key, let root, let range, let limit, let tag):
                self.readPage(connection, webSocket, key, range, thread: root, limit, tag)
            case .readFurther(let step, let bytes):
                self.readFurther(connection, webSocket, step, after: bytes)
            case .authenticate(let token):
                self.authenticate(connection, webSocket, token)
            case .broadcast(let message):
                self.broadcastToNodes(message, of: webSocket.dialect)
            case .close(let code, let reason):
                self.pool.closeWebSocket(
                    connection, webSocket, WebSocketCloseCode(rawValue: code), reason.description)
            }
        }
        self.steps.removeAll()
        self.sessionChanged(connection, webSocket)
    }

    /// Updates the loop's state of a session after its steps.
    private mutating func sessionChanged(_ connection: Connection, _ webSocket: WebSocketState) {
        guard connection.isConnected, !webSocket.hasSentClose else { return }
        if let tracksDeliveries = webSocket.session?.tracksDeliveries,
            tracksDeliveries != webSocket.tracksDeliveries
        {
            self.queues.regroup.append(connection.token)
        }
        if !connection.isIdentified, webSocket.session?.isIdentified == true {
            self.pool.identified(connection)
        }
        if self.pool.user(of: connection) == UserTable.noUser {
            self.recordUser(connection, webSocket)
            self.context.logIdentified(connection, webSocket)
            // The first frames of a session may name its user.
            if self.pool.user(of: connection) != UserTable.noUser {
                self.userChanged(of: webSocket, connection)
                if let ban = self.ban(of: webSocket) {
                    return self.closeBanned(connection, webSocket, ban.notice)
                }
            }
        }
        if webSocket.session?.wakeAt != nil { self.pool.scheduleTimer(connection) }
    }

    private mutating func recordUser(_ connection: Connection, _ webSocket: WebSocketState) {
        guard let session = webSocket.session, let principal = session.principal else { return }
        let number = self.users.addConnection(principal.person.id, of: session.tenant)
        self.pool.setUser(number, of: connection)
        if !principal.person.id.isAnonymous { connection.addressShare?.showToken() }
    }

    private mutating func reply(
        _ connection: Connection, _ webSocket: WebSocketState, _ range: Range<Int>, isPaced: Bool
    ) {
        let frame = self.steps.text.bytes.withUnsafeBytes {
            self.pool.frames.encode(
                .text, UnsafeRawBufferPointer(rebasing: $0[range]), compress: webSocket.isCompressed
            )
        }
        guard isPaced || range.count > Self.pacedReplyBytes else {
            guard !connection.backlog.isEmpty else { return self.pool.send(connection, frame) }
            return self.sendRequested(frame, to: connection, webSocket, isPaced: false)
        }
        self.sendRequested(frame, to: connection, webSocket)
        guard !isPaced, connection.isConnected, !webSocket.hasSentClose, !connection.backlog.isEmpty
        else { return }
        self.pool.pauseReading(connection)
    }

    /// The client must have requested a reply of this size.
    private static let pacedReplyBytes = 64 << 10

    private mutating func authenticate(
        _ connection: Connection, _ webSocket: WebSocketState, _ token: String
    ) {
        guard let session = webSocket.session else { return }
        do throws(TokenError) {
            let identity = try self.context.live.verifier.verify(token, at: self.context.now.wall)
            // A session without a user takes its identity from this token.
            guard
                session.principal.map({
                    UserID(of: identity) == $0.person.id && identity.tenant == session.tenant
                }) ?? true
            else {
                webSocket.session?.authenticated(
                    .failure(CredentialError("belongs to another user")), into: &self.steps)
                return
            }
            if session.principal == nil,
                let ban = self.context.bans.ban(
                    of: UserID(of: identity), in: identity.tenant, at: self.context.now.wall)
            {
                webSocket.session?.banned(ban.notice, into: &self.steps)
                return
            }
            webSocket.expiresAt =
                identity.expiry.map {
                    self.context.now.monotonic
                        + max(1, $0.milliseconds - self.context.now.wall.milliseconds)
                } ?? 0
            self.pool.scheduleTimer(connection)
            webSocket.session?.authenticated(.success(identity), into: &self.steps)
        } catch {
            self.context.recordRefusal(.token, error.description, connection, nil)
            webSocket.session?.authenticated(
                .failure(CredentialError(error.description)), into: &self.steps)
        }
    }

    /// The last message that was sent to the connection, for each of its conversations. Valid only
    /// if the chat engine has no deliveries.
    func positions(of webSocket: WebSocketState) -> [(
        conversation: ConversationKey, through: SequenceNumber
    )] {
        webSocket.subscriptions.map {
            (
                $0.conversation,
                through: $0.catchUp?.sentThrough ?? self.chat.deliveredThrough($0.feed)
            )
        }
    }

    // MARK: Events of connections

    /// The connection's socket has accepted everything: replays continue, and deliveries are
    /// reported.
    mutating func socketDrained(_ connection: Connection, _ webSocket: WebSocketState) {
        webSocket.rate?.setWaiting(0)
        for subscription in webSocket.subscriptions { self.queueReportIfDue(subscription.feed) }
        self.resumeCatchUp(connection, webSocket)
        self.resumeReadingIfUnblocked(connection, webSocket)
    }

    mutating func tokenExpired(_ connection: Connection, _ webSocket: WebSocketState) {
        webSocket.expiresAt = 0
        webSocket.session?.tokenExpired(into: &self.steps)
        self.runSteps(connection, webSocket)
    }

    /// Wakes the session at the time that it has chosen.
    mutating func wakeIfDue(_ connection: Connection, _ webSocket: WebSocketState) {
        guard let wakeAt = webSocket.session?.wakeAt, wakeAt <= self.context.now.monotonic else {
            return
        }
        webSocket.session?.wake(into: &self.steps)
        self.runSteps(connection, webSocket)
    }

    /// Sends a dialect's message to the dialect on all other nodes.
    private func broadcastToNodes(_ message: String, of dialect: Int) {
        guard let relay = self.context.relay else { return }
        let forwarded = RemoteLoopMessage(
            to: 0,
            EngineNodeMessage.encodeBroadcast(
                message, of: self.context.settings.dialects[dialect].name.description))
        for node in self.chat.view.nodes where node.incarnation != self.chat.id.incarnation {
            relay.send(forwarded, to: node.incarnation, from: self.chat.id)
        }
    }

    /// Ends the session of a connection that is closing, and unsubscribes it.
    mutating func endSession(_ webSocket: WebSocketState, _ connection: Connection) {
        guard webSocket.content != .probe else { return }
        self.inboxCursors[UInt32(connection.slot)] = nil
        self.unsubscribeAll(webSocket, connection)
        self.context.counters.connections[webSocket.dialect + 1] -= 1
        self.context.logClosed(connection, webSocket)
    }
}
