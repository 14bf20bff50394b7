import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Configuration
import DialectKit
import EventLoop
import HTTPWire

/// Counts what clients send, store and do not read against the limits of their users (`UserRate`).
extension ChatBridge {
    // MARK: Frames

    /// Counts a message against the rate of its user. A refusal is in `steps`, for the session to
    /// answer.
    ///
    /// - Parameter byteCount: the length of the message, inflated: it costs the node the more, and
    ///   the client that compresses it next to nothing.
    /// - Returns: whether the session gets the message. It does not if the client has sent above
    ///   its limit for so long that the connection closes.
    mutating func admit(
        _ connection: Connection, _ webSocket: WebSocketState, byteCount: Int
    ) -> Bool {
        let limits = self.context.userLimits
        let cost = 1 + byteCount / limits.messageBytes
        switch self.rate(of: webSocket, connection)
            .admit(limits: limits, at: self.context.now.monotonic, cost: Float(cost))
        {
        case .admitted: return true
        case .refused(let seconds): self.steps.retryAfter = seconds
        case .paused(let seconds):
            self.steps.retryAfter = seconds
            self.pool.pauseReading(connection)
            self.pool.scheduleTimer(connection)
        case .exhausted:
            self.context.counters.rateLimited &+= 1
            self.context.logFlood(connection, webSocket)
            // A WebSocket that is about to take over a session has none that could close it.
            guard webSocket.session != nil else {
                self.pool.drop(connection)
                return false
            }
            webSocket.session?.exceededRate(into: &self.steps)
            self.runSteps(connection, webSocket)
            return false
        }
        self.context.counters.rateLimited &+= 1
        return true
    }

    /// Counts a frame that no session gets, and that is processed even above the limit: a ping, a
    /// fragment of a message, or a packet of the transport.
    ///
    /// - Returns: whether the connection stays open.
    mutating func admitControlFrame(
        _ connection: Connection, _ webSocket: WebSocketState
    ) -> Bool {
        guard webSocket.dialect >= 0 || webSocket.content == .probe, !webSocket.hasSentClose
        else { return true }
        defer { self.steps.retryAfter = nil }
        return self.admit(connection, webSocket, byteCount: 0)
    }

    /// Reads a client again that was above its limit. The rate of a client that sends nothing is
    /// released, because most connections are idle.
    mutating func updateRate(of webSocket: WebSocketState, _ connection: Connection) {
        let (limits, now) = (self.context.userLimits, self.context.now.monotonic)
        guard let rate = webSocket.rate else { return }
        if rate.endReplayWait(at: now) {
            self.resumeCatchUp(connection, webSocket)
            self.resumeFurtherRead(connection, webSocket)
        }
        if rate.endPause(at: now) {
            self.resumeReadingIfUnblocked(connection, webSocket)
        } else if rate.isAsNew(limits: limits, at: now) {
            webSocket.rate = nil
        }
    }

    /// The user of a connection has become known. Its frames have counted for its address so far.
    func userChanged(of webSocket: WebSocketState, _ connection: Connection) {
        webSocket.rate?.changeUser(to: self.context.storedUserRate(of: webSocket, connection))
    }

    private func rate(of webSocket: WebSocketState, _ connection: Connection) -> ConnectionRate {
        self.context.rate(of: webSocket, connection)
    }

    // MARK: Replays

    /// Counts a page of a replay. If the user's replays have cost too much, this one continues
    /// later.
    ///
    /// - Returns: whether the page may be read.
    func admitReplay(_ connection: Connection, _ webSocket: WebSocketState) -> Bool {
        let isAdmitted = self.rate(of: webSocket, connection)
            .admitReplay(limits: self.context.userLimits, at: self.context.now.monotonic)
        if !isAdmitted { self.pool.scheduleTimer(connection) }
        return isAdmitted
    }

    /// Counts the bytes of a page that is sent.
    func chargeReplay(_ bytes: Int, to webSocket: WebSocketState, _ connection: Connection) {
        self.context.userRate(of: webSocket, connection).chargeReplay(
            bytes: bytes, limits: self.context.userLimits, at: self.context.now.monotonic)
    }

    /// Executes a further read for the answer to one request, as soon as the user's replays allow
    /// another page.
    ///
    /// - Parameter bytes: those of the page before.
    mutating func readFurther(
        _ connection: Connection, _ webSocket: WebSocketState, _ step: SessionStep,
        after bytes: Int
    ) {
        self.chargeReplay(bytes, to: webSocket, connection)
        guard self.admitReplay(connection, webSocket) else {
            webSocket.furtherRead = WebSocketState.FurtherRead(step: step)
            return self.blockReading(connection, webSocket)
        }
        self.steps.append(step)
    }

    private mutating func resumeFurtherRead(
        _ connection: Connection, _ webSocket: WebSocketState
    ) {
        guard let read = webSocket.furtherRead, connection.isConnected,
            self.admitReplay(connection, webSocket)
        else { return }
        webSocket.furtherRead = nil
        self.steps.append(read.step)
        self.runSteps(connection, webSocket)
        self.unblockReading(connection, webSocket)
    }

    // MARK: Storage

    /// Counts the bytes that a command stores.
    ///
    /// - Returns: why the command is refused; nil if it is not.
    func storageRefusal(
        of command: ChatCommand, in key: ConversationKey, _ connection: Connection,
        _ webSocket: WebSocketState
    ) -> ChatError? {
        guard command.storesBytes else { return nil }
        return self.context.userRate(of: webSocket, connection).store(
            command, in: key, limits: self.context.userLimits,
            at: self.context.now.monotonic)
    }

    /// Why the user may enter no conversation at present; nil if it may.
    func entryRefusal(
        _ key: ConversationKey, _ connection: Connection, _ webSocket: WebSocketState
    ) -> ChatError? {
        // An inbox has no members.
        guard !key.isInbox else { return nil }
        let user =
            webSocket.rate?.user
            ?? self.context.shared.rates.existing(LimitKey(of: webSocket, connection))
        return user?.entryRefusal(
            limits: self.context.userLimits, at: self.context.now.monotonic)
    }

    /// Counts the bytes of a membership that has come into being.
    func joined(_ result: JoinResult, _ connection: Connection, _ webSocket: WebSocketState) {
        guard result.isNewMember, let person = webSocket.session?.principal?.person else { return }
        self.context.userRate(of: webSocket, connection).storeMember(
            person, limits: self.context.userLimits, at: self.context.now.monotonic)
    }

    // MARK: Slow readers

    /// Sends an answer or a part of a replay, as fast as the socket accepts it, and counts what
    /// waits for the client. One answer may wait for each user, whatever its size; on other
    /// connections further ones, while less than the limit waits.
    ///
    /// - Parameter isPaced: see `ConnectionPool.sendPaced`.
    func sendRequested(
        _ frame: SharedFrame, to connection: Connection, _ webSocket: WebSocketState,
        isPaced: Bool = true
    ) {
        if let rate = webSocket.rate, !self.mayWait(rate) {
            return self.closeSlowReader(connection, webSocket)
        }
        guard isPaced else {
            self.pool.send(connection, frame)
            webSocket.rate?.setWaiting(connection.backlog.totalBytes)
            return
        }
        self.pool.sendPaced(connection, frame)
        guard connection.isConnected, !webSocket.hasSentClose, !connection.backlog.isEmpty else {
            return
        }
        let rate = self.rate(of: webSocket, connection)
        rate.setWaiting(connection.backlog.totalBytes)
        if !self.mayWait(rate) { self.closeSlowReader(connection, webSocket) }
    }

    private func mayWait(_ rate: ConnectionRate) -> Bool {
        rate.mayWait(self.context.live.limits.outboundBytes)
    }

    private func closeSlowReader(_ connection: Connection, _ webSocket: WebSocketState) {
        self.pool.closeSlowReader(
            connection, webSocket, "your connections read too slowly; resume where you were")
    }
}

extension LoopContext {
    func userRate(of webSocket: WebSocketState, _ connection: Connection) -> UserRate {
        webSocket.rate?.user ?? self.storedUserRate(of: webSocket, connection)
    }

    fileprivate func storedUserRate(
        of webSocket: WebSocketState, _ connection: Connection
    ) -> UserRate {
        self.shared.rates.rate(
            of: LimitKey(of: webSocket, connection), limits: self.userLimits,
            at: self.now.monotonic)
    }

    func rate(of webSocket: WebSocketState, _ connection: Connection) -> ConnectionRate {
        if let rate = webSocket.rate { return rate }
        let rate = ConnectionRate(self.userRate(of: webSocket, connection))
        webSocket.rate = rate
        return rate
    }
}

extension LimitKey {
    fileprivate init(of webSocket: WebSocketState, _ connection: Connection) {
        self.init(
            webSocket.session?.principal?.person.id, tenant: webSocket.session?.tenant ?? "",
            from: connection.peer.ip)
    }
}
