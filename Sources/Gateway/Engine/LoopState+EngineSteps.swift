import Bytes
import ChatCore
import ChatEngine
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// Executes the steps of Engine.IO sessions, and passes their messages and packets.
extension LoopState {
    /// Updates a session and executes its steps.
    mutating func updateEngine(
        _ session: SocketToken, _ body: (inout EngineSession, inout EngineSteps) -> Void
    ) {
        guard let connection = self.pool[session],
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine
        else {
            return
        }
        var steps = EngineSteps()
        body(&engine.session, &steps)
        self.runEngineSteps(steps, of: session)
    }

    /// Updates a session with input that contains messages, and executes its steps.
    mutating func updateEngine(
        _ session: SocketToken, _ bytes: [UInt8],
        _ body: (inout EngineSession, RawSpan, inout EngineSteps) -> Void
    ) {
        guard let connection = self.pool[session],
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine
        else {
            return
        }
        var steps = EngineSteps()
        body(&engine.session, bytes.span.bytes, &steps)
        bytes.withUnsafeBytes { self.runEngineSteps(steps, of: session, $0) }
    }

    /// - Parameter bytes: the input that contains the messages.
    mutating func runEngineSteps(
        _ steps: EngineSteps, of session: SocketToken,
        _ bytes: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        for step in steps.list {
            switch step {
            case .answer(let request, let answer):
                self.answer(request, answer, steps, of: session)
            case .send(_, let socket) where socket.isForwarded:
                self.acceptRemoteProbe(socket, of: session)
            case .closeSocket(let socket, let code, let reason) where socket.isForwarded:
                self.replyProbeClosed(socket, code: code, reason, of: session)
            case .send(let packet, let socket):
                guard let connection = self.connection(of: socket, session) else { continue }
                packet.withBytes { self.pool.sendFrame(connection, .text, $0) }
            case .closeSocket(let socket, let code, let reason):
                guard let connection = self.connection(of: socket, session),
                    case .webSocket(let webSocket) = connection.phase
                else { continue }
                self.pool.closeWebSocket(
                    connection, webSocket, WebSocketCloseCode(rawValue: code), reason)
            case .message(let range):
                self.receivePostedMessage(session, UnsafeRawBufferPointer(rebasing: bytes[range]))
            case .binary:
                guard let connection = self.pool[session],
                    case .webSocket(let webSocket) = connection.phase
                else { continue }
                self.bridge.receivedBinary(connection, webSocket)
            case .upgraded(let socket):
                self.takeOver(SocketToken(socket), for: session)
            case .closed(let closure):
                self.engineSessionClosed(session, closure)
            }
        }
        guard let connection = self.pool[session] else { return }
        self.clearUnpolledIfEmpty(connection)
        self.pool.scheduleTimer(connection)
    }

    /// After a poll has fetched the last packet, everything counts as delivered, and replays
    /// continue.
    mutating func clearUnpolledIfEmpty(_ connection: Connection) {
        guard self.pool.table.hot[connection.slot].flags.contains(.hasUnpolledPackets),
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine, engine.session.waitingPackets == 0,
            !engine.isAttachingSocket
        else { return }
        self.pool.table.hot[connection.slot].flags.remove(.hasUnpolledPackets)
        guard !webSocket.hasSentClose, connection.backlog.isEmpty else { return }
        for subscription in webSocket.subscriptions {
            self.bridge.queueReportIfDue(subscription.feed)
        }
        self.bridge.resumeCatchUp(connection, webSocket)
    }

    /// The connection of a session's WebSocket. The WebSocket belongs to the session's connection,
    /// or is still a connection of its own.
    private func connection(of socket: EngineSocketID, _ session: SocketToken) -> Connection? {
        if let connection = self.pool[session],
            case .webSocket(let webSocket) = connection.phase, webSocket.engine?.socket == socket
        {
            return connection
        }
        return self.pool[SocketToken(socket)]
    }

    mutating func answer(
        _ request: EngineRequestID, _ answer: EngineAnswer, _ steps: EngineSteps,
        of session: SocketToken
    ) {
        if request.isForwarded {
            return self.answerRemoteRequest(request, answer, steps, of: session)
        }
        let token = SocketToken(request)
        guard let connection = self.pool[token], case .http(let exchange) = connection.phase,
            let engine = exchange.engineRequest
        else {
            return
        }
        switch answer {
        case .payload(let range):
            self.respondPending(
                request, engine,
                HTTPResponse(
                    contentType: "text/plain; charset=UTF-8", body: Array(steps.text.bytes[range])))
        case .accepted:
            self.respondPending(
                request, engine, HTTPResponse(contentType: "text/html", body: Array("ok".utf8)))
        case .refused(let refusal):
            self.refusePending(request, engine, refusal)
        }
        // The outbox has room for more.
        guard case .payload = answer, let owner = self.pool[session],
            !owner.backlog.isEmpty
        else { return }
        self.pool.drainBacklog(owner)
    }

    mutating func refusePending(
        _ request: EngineRequestID, _ engine: PendingEngineRequest, _ refusal: EngineRefusal
    ) {
        var body = ByteBuffer()
        body.append(engineRefusal: refusal)
        self.respondPending(
            request, engine, HTTPResponse(HTTPStatus(rawValue: refusal.status), body: body.bytes))
    }

    /// Sends the response of a pending request. Then the connection may send the next request.
    mutating func respondPending(
        _ request: EngineRequestID, _ engine: PendingEngineRequest, _ response: HTTPResponse
    ) {
        let token = SocketToken(request)
        guard let connection = self.pool[token], case .http(let exchange) = connection.phase
        else { return }
        // After an unread body the next request cannot be found. A drain may have begun since the
        // request.
        if self.context.isDraining || exchange.incompleteRequest != nil {
            engine.responseContext.keepsAlive = false
        }
        exchange.engineRequest = nil
        exchange.incompleteRequest = nil
        var response = response
        response.fields += engine.fields
        self.http.respond(connection, response, engine.responseContext)
        if connection.isConnected, connection.closeState == .open,
            !connection.unread.isEmpty
        {
            self.pool.pauseReading(connection)
            self.pool.resumeReading(connection)
        }
    }

    // MARK: Messages from the client

    /// Handles a message from a POST.
    private mutating func receivePostedMessage(
        _ session: SocketToken, _ data: UnsafeRawBufferPointer
    ) {
        guard let connection = self.pool[session],
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine
        else {
            return
        }
        if connection.isReadingPaused || !engine.unreadPosts.isEmpty {
            engine.appendUnread(data)
        } else {
            self.bridge.receivedMessage(connection, webSocket, .text, data)
        }
    }

    /// Handles the messages that arrived while reading was paused.
    mutating func readPostedMessages(
        _ connection: Connection, _ webSocket: WebSocketState, _ engine: EngineState
    ) {
        let unread = engine.drainUnread()
        for range in unread.indices {
            guard connection.isConnected, !webSocket.hasSentClose else { return }
            guard !connection.isReadingPaused else {
                return engine.prependUnread(unread[range...])
            }
            unread[range].withUnsafeBytes {
                self.bridge.receivedMessage(connection, webSocket, .text, $0)
            }
        }
    }

    /// Handles a message of a WebSocket that carries a session or is to take over one.
    mutating func receivedPacket(
        _ connection: Connection, _ webSocket: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        if let probe = webSocket.remoteProbe {
            return self.receivedProbePacket(connection, webSocket, probe, kind, bytes)
        }
        let token = connection.token
        let now = self.context.now.monotonic
        if let session = webSocket.probedSession {
            let copy = Array(bytes)
            self.updateEngine(session, copy) {
                if kind == .text {
                    $0.received($1, on: EngineSocketID(token), at: now, into: &$2)
                } else {
                    $0.receivedBinary(on: EngineSocketID(token), into: &$2)
                }
            }
            return
        }
        guard let engine = webSocket.engine, let socket = engine.socket else { return }
        if kind == .binary {
            return self.bridge.receivedMessage(connection, webSocket, .binary, bytes)
        }
        // Most packets are messages, which the session need not see.
        if bytes.first == EnginePacketKind.message.typeByte {
            return self.bridge.receivedMessage(
                connection, webSocket, .text, UnsafeRawBufferPointer(rebasing: bytes.dropFirst()))
        }
        let copy = Array(bytes)
        self.updateEngine(token, copy) { $0.received($1, on: socket, at: now, into: &$2) }
    }

    // MARK: Packets to the client

    /// Answers waiting polls with the packets that were written for them.
    mutating func answerPolls() {
        guard !self.pool.written.isEmpty else { return }
        var written: [Connection] = []
        swap(&written, &self.pool.written)
        for connection in written {
            guard let engine = connection.webSocket?.engine else { continue }
            let steps = engine.drainWriteSteps()
            if !steps.list.isEmpty { self.runEngineSteps(steps, of: connection.token) }
        }
        for connection in written {
            self.updateEngine(connection.token) { $0.flush(into: &$1) }
        }
    }

    /// The packets of the backlog.
    func backlogPackets(_ connection: Connection) -> [String] {
        var bytes = ByteBuffer()
        connection.backlog.gather(upTo: .max, into: &bytes)
        return bytes.bytes.withUnsafeBytes { bytes in
            var packets: [String] = []
            var offset = 0
            while let frame = WrittenFrame(bytes, at: offset) {
                offset = frame.end
                if frame.opcode == .text {
                    packets.append(String(decoding: bytes[frame.payload], as: UTF8.self))
                }
            }
            return packets
        }
    }

    // MARK: End of a session

    /// Removes a session that has ended. A polling session's connection is dropped.
    private mutating func engineSessionClosed(_ session: SocketToken, _ closure: EngineClosure) {
        guard let connection = self.pool[session],
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine
        else {
            return
        }
        self.engine.sessions[engine.session.id] = nil
        guard self.pool.table.hot[connection.slot].flags.contains(.isPolling) else { return }
        if !webSocket.hasSentClose {
            self.pool.closeSent(
                connection, webSocket, WebSocketCloseCode(rawValue: closure.webSocketCode))
        }
        self.pool.drop(connection)
    }

    /// Cleans up after a dropped connection that had a session or was to take over one.
    mutating func engineConnectionDropped(_ token: SocketToken, _ webSocket: WebSocketState) {
        if let probe = webSocket.remoteProbe {
            self.cancelForwardedRequests(of: token)
            self.remoteProbeDropped(probe)
        }
        if let session = webSocket.probedSession {
            self.updateEngine(session) { $0.socketClosed(EngineSocketID(token), into: &$1) }
        }
        guard let engine = webSocket.engine else { return }
        self.engine.sessions[engine.session.id] = nil
        // Pending requests get an answer.
        var steps = EngineSteps()
        engine.session.close(
            code: 1001, reason: "the connection has ended", at: self.context.now.monotonic,
            into: &steps)
        for step in steps.list {
            guard case .answer(let request, let answer) = step else { continue }
            if let remote = engine.remoteRequests[request.rawValue] {
                let text = ForwardedMessage.encodeReply(request.rawValue, answer, steps)
                engine.remoteRequests[request.rawValue]?.answer = text
                self.context.relay?.send(
                    RemoteLoopMessage(to: remote.loop, text), to: remote.node,
                    from: self.bridge.chat.id)
            } else {
                self.answer(request, answer, steps, of: token)
            }
        }
        self.retainReplies(of: engine)
    }
}
