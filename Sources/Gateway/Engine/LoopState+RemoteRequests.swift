import Bytes
import ChatCore
import ChatEngine
import DialectKit
import EngineIO
import EventLoop

/// Handles Engine.IO requests from clients of other nodes, for sessions on this node.
extension LoopState {
    mutating func handleRequest(
        _ request: ForwardedMessage.SessionRequest, from node: UInt64
    ) {
        if let retained = self.engine.retainedReplies[request.number] {
            return self.sendReply(retained.answer, to: node, request.loop)
        }
        guard let token = self.engine.sessions[request.session],
            let connection = self.pool[token],
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine
        else {
            return self.refuseRemoteRequest(request, .unknownSession, to: node)
        }
        guard self.isAllowed(request.identity, for: webSocket) else {
            return self.refuseRemoteRequest(request, .forbidden, to: node)
        }
        self.pool.table.hot[connection.slot].lastReceivedTick = self.context.tickNumber
        if var remote = engine.remoteRequests[request.number] {
            remote.node = node
            remote.loop = request.loop
            remote.lastRequestedAt = self.context.now.monotonic
            engine.remoteRequests[request.number] = remote
            if let answer = remote.answer { return self.sendReply(answer, to: node, request.loop) }
            guard request.kind == .takeOver || remote.kind == .postStarted && request.kind.endsBody
            else {
                return
            }
        }
        switch request.kind {
        case .poll, .postStarted, .post, .binaryPost, .postTooLong, .probe:
            self.executeRequest(request, from: node, token, engine)
        case .takeOver:
            guard let socket = UInt64(request.body) else { return }
            self.transferSession(
                token, webSocket, engine, EngineSocketID(forwarded: socket), request, to: node)
        case .pollAborted, .postAborted, .probeClosed:
            guard let number = UInt64(request.body) else { return }
            self.executeNotification(request.kind, of: number, token, engine)
        }
    }

    private mutating func executeRequest(
        _ request: ForwardedMessage.SessionRequest, from node: UInt64, _ token: SocketToken,
        _ engine: EngineState
    ) {
        let now = self.context.now.monotonic
        switch request.kind {
        case .poll:
            self.recordRemoteRequest(request, from: node, engine)
            self.updateEngine(token) {
                $0.poll(EngineRequestID(forwarded: request.number), at: now, into: &$1)
            }
        case .postStarted:
            self.beginRemotePost(
                request, announcedBytes: Int(request.body), from: node, token, engine)
        case .post, .binaryPost:
            let body =
                request.kind == .post
                ? Array(request.body.utf8) : Base64URL.decode(request.body.utf8)
            guard let body,
                self.beginRemotePost(
                    request, announcedBytes: body.count, from: node, token, engine)
            else { return }
            self.updateEngine(token, body) {
                $0.postEnded(EngineRequestID(forwarded: request.number), $1, at: now, into: &$2)
            }
        case .postTooLong:
            guard self.beginRemotePost(request, announcedBytes: .max, from: node, token, engine)
            else { return }
            self.updateEngine(token) {
                $0.postTooLarge(EngineRequestID(forwarded: request.number), into: &$1)
            }
        case .probe:
            self.recordRemoteRequest(request, from: node, engine)
            self.updateEngine(token, Array("2probe".utf8)) {
                $0.socketOpened(EngineSocketID(forwarded: request.number), at: now, into: &$2)
                $0.received($1, on: EngineSocketID(forwarded: request.number), at: now, into: &$2)
            }
        case .takeOver, .pollAborted, .postAborted, .probeClosed: break
        }
    }

    /// Executes the notification that a forwarded request's connection has ended.
    ///
    /// - Parameter number: the number of that request.
    private mutating func executeNotification(
        _ kind: ForwardedMessage.Kind, of number: UInt64, _ token: SocketToken,
        _ engine: EngineState
    ) {
        switch kind {
        case .pollAborted:
            self.updateEngine(token) {
                $0.pollAborted(EngineRequestID(forwarded: number), into: &$1)
            }
        case .postAborted:
            let hasProcessedHead = engine.remoteRequests[number]?.hasProcessedHead ?? false
            self.updateEngine(token) {
                if !hasProcessedHead {
                    $0.postBegan(EngineRequestID(forwarded: number), announcedBytes: nil, into: &$1)
                }
                $0.postAborted(EngineRequestID(forwarded: number), into: &$1)
            }
        case .probeClosed:
            self.updateEngine(token) {
                $0.socketClosed(EngineSocketID(forwarded: number), into: &$1)
            }
        case .poll, .post, .binaryPost, .postStarted, .postTooLong, .probe, .takeOver: break
        }
    }

    private func refuseRemoteRequest(
        _ request: ForwardedMessage.SessionRequest, _ refusal: EngineRefusal, to node: UInt64
    ) {
        switch request.kind {
        // No answer is expected.
        case .pollAborted, .probeClosed, .postAborted: return
        case .poll, .post, .binaryPost, .postStarted, .postTooLong, .probe, .takeOver:
            // As for a local request, the body of a refused POST is not read, so the connection
            // must close.
            let closes = request.kind == .postStarted || request.kind.endsBody
            self.sendReply(
                ForwardedMessage.encodeReply(
                    request.number, .refused(refusal), EngineSteps(), closes: closes), to: node,
                request.loop)
        }
    }

    /// Passes the head of a POST to the session, unless the session has processed it before.
    ///
    /// - Returns: whether the session expects the body.
    @discardableResult
    private mutating func beginRemotePost(
        _ request: ForwardedMessage.SessionRequest, announcedBytes: Int?, from node: UInt64,
        _ token: SocketToken, _ engine: EngineState
    ) -> Bool {
        let number = request.number
        if engine.remoteRequests[number]?.hasProcessedHead == true {
            engine.remoteRequests[number]?.kind = request.kind
            return true
        }
        self.recordRemoteRequest(request, from: node, engine)
        // A client whose messages wait may send at most one more payload.
        let hasTooMuchUnread =
            engine.unreadPostBytes > (self.context.shared.engine?.settings.maxPayload ?? 0)
        self.updateEngine(token) {
            $0.postBegan(
                EngineRequestID(forwarded: number),
                announcedBytes: hasTooMuchUnread ? .max : announcedBytes, into: &$1)
        }
        guard let request = engine.remoteRequests[number], request.answer == nil else {
            return false
        }
        engine.remoteRequests[number]?.hasProcessedHead = true
        return true
    }

    private func recordRemoteRequest(
        _ request: ForwardedMessage.SessionRequest, from node: UInt64, _ engine: EngineState
    ) {
        if engine.remoteRequests.count >= RemoteRequest.perSessionLimit,
            let oldest = engine.remoteRequests.filter({ $0.value.answer != nil }).min(by: {
                $0.value.lastRequestedAt < $1.value.lastRequestedAt
            })
        {
            engine.remoteRequests[oldest.key] = nil
        }
        engine.remoteRequests[request.number] = RemoteRequest(
            node: node, loop: request.loop, kind: request.kind,
            lastRequestedAt: self.context.now.monotonic)
    }

    private func sendReply(_ text: String, to node: UInt64, _ loop: UInt16) {
        self.context.relay?.send(
            RemoteLoopMessage(to: loop, text), to: node, from: self.bridge.chat.id)
    }

    /// Answers a request that another node forwarded.
    mutating func answerRemoteRequest(
        _ request: EngineRequestID, _ answer: EngineAnswer, _ steps: EngineSteps,
        of session: SocketToken
    ) {
        guard let connection = self.pool[session],
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine,
            var remote = engine.remoteRequests[request.rawValue], remote.answer == nil
        else { return }
        let closes =
            !remote.hasProcessedHead && (remote.kind == .postStarted || remote.kind.endsBody)
        let text = ForwardedMessage.encodeReply(request.rawValue, answer, steps, closes: closes)
        remote.answer = text
        engine.remoteRequests[request.rawValue] = remote
        // The last answer to a poll is sufficient: the client polls again only after it has
        // received it.
        if remote.kind == .poll {
            for (number, other) in engine.remoteRequests
            where other.kind == .poll && other.answer != nil && number != request.rawValue {
                engine.remoteRequests[number] = nil
            }
        }
        self.sendReply(text, to: remote.node, remote.loop)
        guard let connection = self.pool[session], !connection.backlog.isEmpty else {
            return
        }
        self.pool.drainBacklog(connection)
    }

    /// Confirms that a WebSocket on another node may take over. That node then sends the session's
    /// packets.
    mutating func acceptRemoteProbe(_ socket: EngineSocketID, of session: SocketToken) {
        self.answerRemoteRequest(
            EngineRequestID(forwarded: socket.rawValue), .accepted, EngineSteps(), of: session)
    }

    /// Reports that the session closes a WebSocket, even after it has accepted the WebSocket.
    func replyProbeClosed(
        _ socket: EngineSocketID, code: UInt16, _ reason: String, of session: SocketToken
    ) {
        guard let connection = self.pool[session],
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine,
            let remote = engine.remoteRequests[socket.rawValue]
        else { return }
        let text = ForwardedMessage.encodeClose(socket.rawValue, code: code, reason)
        engine.remoteRequests[socket.rawValue]?.answer = text
        self.sendReply(text, to: remote.node, remote.loop)
    }

    /// Retains the last answers of an ended session for a while, in case they were lost.
    mutating func retainReplies(of engine: EngineState) {
        for (number, request) in engine.remoteRequests {
            guard let answer = request.answer, self.engine.retainedReplies[number] == nil,
                self.engine.retainedReplies.count < RemoteRequest.endedSessionLimit
            else {
                continue
            }
            self.engine.retainedReplies[number] = (
                answer, self.context.now.monotonic + RemoteRequest.timeoutMilliseconds
            )
        }
    }

    /// Ends polls and incomplete POSTs that their node no longer repeats.
    mutating func expireRemoteRequests(_ session: SocketToken, _ engine: EngineState) {
        guard !engine.remoteRequests.isEmpty else { return }
        for (number, request) in engine.remoteRequests
        where self.context.now.monotonic - request.lastRequestedAt
            > RemoteRequest.timeoutMilliseconds
        {
            engine.remoteRequests[number] = nil
            guard request.answer == nil else { continue }
            switch request.kind {
            case .poll:
                self.updateEngine(session) {
                    $0.pollAborted(EngineRequestID(forwarded: number), into: &$1)
                }
            case .postStarted:
                self.updateEngine(session) {
                    $0.postAborted(EngineRequestID(forwarded: number), into: &$1)
                }
            default: break
            }
        }
    }

    /// Transfers the session to the node with its WebSocket, once the session has no pending
    /// requests.
    private mutating func transferSession(
        _ token: SocketToken, _ webSocket: WebSocketState, _ engine: EngineState,
        _ socket: EngineSocketID, _ request: ForwardedMessage.SessionRequest,
        to node: UInt64
    ) {
        guard let connection = self.pool[token] else { return }
        guard webSocket.unansweredCommandCount == 0, webSocket.blockingReplyCount == 0,
            engine.unreadPosts.isEmpty
        else { return }
        // Moves everything that the feeds have delivered into the outbox or the backlog.
        self.pool.writeTurn(connection.slot)
        guard connection.isConnected, let session = webSocket.session else { return }
        var steps = EngineSteps()
        engine.session.received(
            Array("5".utf8).span.bytes, on: socket, at: self.context.now.monotonic, into: &steps)
        guard engine.session.socket == socket else {
            return self.sendReply(
                ForwardedMessage.encodeReply(request.number, .refused(.badRequest), steps),
                to: node, request.loop)
        }
        var packets: [String] = []
        for step in steps.list {
            switch step {
            case .answer(let request, let answer): self.answer(request, answer, steps, of: token)
            case .send(let packet, _):
                packet.withBytes { packets.append(String(decoding: $0, as: UTF8.self)) }
            case .closeSocket, .message, .binary, .upgraded, .closed: break
            }
        }
        packets += self.backlogPackets(connection)
        let positions = webSocket.subscriptions.map {
            (
                conversation: $0.conversation,
                through: $0.catchUp?.sentThrough ?? self.bridge.chat.deliveredThrough($0.feed)
            )
        }
        if let state = session.snapshot(at: positions, now: self.context.now.monotonic) {
            let remaining =
                webSocket.expiresAt == 0
                ? 0 : max(1, webSocket.expiresAt - self.context.now.monotonic)
            let text = ForwardedMessage.encodeTransfer(
                request.number,
                state: SessionTransfer(expiresAfter: remaining, state: state, packets: packets).text
            )
            self.engine.retainedReplies[request.number] = (
                text, self.context.now.monotonic + RemoteRequest.timeoutMilliseconds
            )
            self.sendReply(text, to: node, request.loop)
        } else {
            self.sendReply(
                ForwardedMessage.encodeReply(
                    request.number, .refused(.unknownSession), EngineSteps()), to: node,
                request.loop)
        }
        self.engine.sessions[engine.session.id] = nil
        self.pool.drop(connection)
    }
}

extension ForwardedMessage.Kind {
    /// Whether the request completes a POST, so that the session need not wait for more.
    var endsBody: Bool { self == .post || self == .binaryPost || self == .postTooLong }
}
