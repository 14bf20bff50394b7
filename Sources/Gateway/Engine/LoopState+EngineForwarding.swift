import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Cluster
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// Forwards Engine.IO requests to the node that has their session.
extension LoopState {
    /// Whether the node is a member of the cluster. A node that is not has no sessions.
    func isInView(_ node: UInt64) -> Bool {
        self.context.relay != nil && self.bridge.chat.view.node(node) != nil
    }

    /// Forwards a request to the session's node. The requester reads nothing else until the answer.
    ///
    /// - Parameter number: the number of a POST whose head was forwarded before.
    mutating func forward(
        _ kind: ForwardedMessage.Kind, to location: SessionLocation, _ session: EngineSessionID,
        by identity: RequestIdentity = .noToken,
        for requester: SocketToken, _ body: String, number: UInt64 = ForwardedMessage.randomNumber()
    ) {
        let forwarded = ForwardedRequest(
            kind: kind, node: location.node, loop: UInt16(clamping: location.loop),
            session: session,
            identity: identity, requester: requester, body: body,
            retryAt: 0,
            deadline: kind == .poll || kind == .postStarted
                ? .max : self.context.now.monotonic + ForwardedRequest.timeoutMilliseconds)
        self.engine.forwardedRequests[number] = forwarded
        self.sendForwardedRequest(number)
    }

    private mutating func sendForwardedRequest(_ number: UInt64) {
        guard let forwarded = self.engine.forwardedRequests[number] else { return }
        self.engine.forwardedRequests[number]?.retryAt =
            self.context.now.monotonic + forwarded.retryInterval
        let text = ForwardedMessage.encodeRequest(
            forwarded.kind, number, from: UInt16(self.context.index), forwarded.session,
            by: forwarded.identity,
            forwarded.body)
        self.context.relay?.send(
            RemoteLoopMessage(to: forwarded.loop, text), to: forwarded.node,
            from: self.bridge.chat.id)
    }

    /// Repeats requests that are not answered, and gives up those that cannot be.
    mutating func retryForwardedRequests() {
        for (number, forwarded) in self.engine.forwardedRequests
        where forwarded.retryAt <= self.context.now.monotonic {
            if forwarded.deadline <= self.context.now.monotonic || !self.isInView(forwarded.node) {
                self.handleReply(number, .refused(.unknownSession, closes: false))
            } else {
                self.sendForwardedRequest(number)
            }
        }
        for (number, retained) in self.engine.retainedReplies
        where retained.until <= self.context.now.monotonic {
            self.engine.retainedReplies[number] = nil
        }
    }

    /// Cancels the requests of a closed connection.
    mutating func cancelForwardedRequests(of token: SocketToken) {
        guard !self.engine.forwardedRequests.isEmpty else { return }
        for (number, forwarded) in self.engine.forwardedRequests where forwarded.requester == token
        {
            self.engine.forwardedRequests[number] = nil
            guard forwarded.kind == .poll else { continue }
            self.notifySessionNode(
                .pollAborted, number, forwarded.node, forwarded.loop, forwarded.session)
        }
    }

    /// Notifies the session's node that a POST ended before its body was complete.
    func notifyPostAborted(
        _ number: UInt64, of session: EngineSessionID, by identity: RequestIdentity,
        at location: SessionLocation
    ) {
        self.notifySessionNode(
            .postAborted, number, location.node, UInt16(clamping: location.loop), session,
            by: identity)
    }

    private func notifySessionNode(
        _ kind: ForwardedMessage.Kind, _ number: UInt64, _ node: UInt64, _ loop: UInt16,
        _ session: EngineSessionID,
        by identity: RequestIdentity = .noToken
    ) {
        let text = ForwardedMessage.encodeRequest(
            kind, 0, from: UInt16(self.context.index), session, by: identity, String(number))
        self.context.relay?.send(
            RemoteLoopMessage(to: loop, text), to: node, from: self.bridge.chat.id)
    }

    private mutating func handleReply(_ number: UInt64, _ answer: ForwardedMessage.SessionReply) {
        guard let forwarded = self.engine.forwardedRequests.removeValue(forKey: number) else {
            return self.closeRemoteProbe(number, answer)
        }
        guard let connection = self.pool[forwarded.requester] else { return }
        switch (connection.phase, answer) {
        case (.http(let exchange), _):
            guard let engine = exchange.engineRequest else { return }
            if forwarded.kind == .probe, let upgrade = engine.upgrade {
                engine.upgrade = nil
                switch answer {
                case .accepted: return self.beginRemoteProbe(connection, forwarded, number, upgrade)
                case .closed:
                    self.beginRemoteProbe(connection, forwarded, number, upgrade)
                    return self.closeRemoteProbe(number, answer)
                case .payload, .refused, .transferred: break
                }
            }
            let request = EngineRequestID(forwarded.requester)
            switch answer {
            case .payload(let text):
                self.respondPending(
                    request, engine,
                    .init(contentType: "text/plain; charset=UTF-8", body: Array(text.utf8)))
            case .accepted:
                self.respondPending(
                    request, engine, .init(contentType: "text/html", body: Array("ok".utf8)))
            case .refused(let refusal, let closes):
                if closes { engine.responseContext.keepsAlive = false }
                self.refusePending(request, engine, refusal)
            case .transferred, .closed: self.refusePending(request, engine, .unknownSession)
            }
        case (.webSocket(let webSocket), .transferred(let text)):
            guard let probe = webSocket.remoteProbe, let transfer = SessionTransfer(text) else {
                return
            }
            self.adoptSession(connection, webSocket, probe.session, transfer)
        case (.webSocket(let webSocket), .closed(let code, let reason)):
            self.pool.closeWebSocket(
                connection, webSocket, WebSocketCloseCode(rawValue: code), String(reason))
        case (.webSocket(let webSocket), _):
            self.pool.closeWebSocket(
                connection, webSocket, WebSocketCloseCode(rawValue: 1008), "the session is over")
        default:
            break
        }
    }

    /// Closes a WebSocket that was to take over a session, because the session has closed it.
    private mutating func closeRemoteProbe(
        _ number: UInt64, _ answer: ForwardedMessage.SessionReply
    ) {
        guard case .closed(let code, let reason) = answer,
            let token = self.engine.remoteProbes[number],
            let connection = self.pool[token],
            case .webSocket(let webSocket) = connection.phase,
            webSocket.remoteProbe?.number == number
        else { return }
        self.pool.closeWebSocket(
            connection, webSocket, WebSocketCloseCode(rawValue: code), String(reason))
    }

    // MARK: WebSockets that take over a session

    private mutating func beginRemoteProbe(
        _ connection: Connection, _ forwarded: ForwardedRequest, _ number: UInt64,
        _ upgrade: WebSocketUpgrade
    ) {
        self.pool.send(connection, self.pool.frames.encodeResponse(of: upgrade.uncompressed))
        let webSocket = self.bridge.makeWebSocketState(
            nil, dialect: -1, acceptsCompression: false, isCompressed: false)
        webSocket.remoteProbe = RemoteProbe(
            number: number, node: forwarded.node, loop: forwarded.loop, session: forwarded.session)
        connection.phase = .webSocket(webSocket)
        // The session's node closes a WebSocket that takes too long. This longer deadline applies
        // if that node is gone.
        self.pool.setDeadline(
            connection,
            after: .milliseconds(self.context.shared.engine?.settings.upgradeTimeout ?? 0)
                + .seconds(1))
        let token = connection.token
        self.engine.remoteProbes[number] = token
        if connection.isConnected, !connection.unread.isEmpty {
            self.pool.pauseReading(connection)
            self.pool.resumeReading(connection)
        }
    }

    /// Expects `2probe`, and then `5`.
    mutating func receivedProbePacket(
        _ connection: Connection, _ webSocket: WebSocketState, _ probe: RemoteProbe,
        _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        let text = String(decoding: bytes, as: UTF8.self)
        switch (kind, text, probe.hasReceivedProbe) {
        case (.text, "2probe", false):
            webSocket.remoteProbe?.hasReceivedProbe = true
            Array("3probe".utf8).withUnsafeBytes { self.pool.sendFrame(connection, .text, $0) }
        case (.text, "5", true):
            self.pool.pauseReading(connection)
            let location = SessionLocation(node: probe.node, loop: Int(probe.loop))
            self.forward(
                .takeOver, to: location, probe.session, for: connection.token,
                String(probe.number))
        default:
            self.pool.closeWebSocket(
                connection, webSocket, WebSocketCloseCode(rawValue: 1002),
                "the packet \(probe.hasReceivedProbe ? "5" : "2probe") was expected")
        }
    }

    mutating func remoteProbeDropped(_ probe: RemoteProbe) {
        self.engine.remoteProbes[probe.number] = nil
        self.notifySessionNode(.probeClosed, probe.number, probe.node, probe.loop, probe.session)
    }

    /// Takes over a session from another node.
    private mutating func adoptSession(
        _ connection: Connection, _ probe: WebSocketState, _ id: EngineSessionID,
        _ transfer: SessionTransfer
    ) {
        guard let engine = self.context.shared.engine,
            let session = self.context.settings.dialects[engine.dialect].resume(
                transfer.state, allowsAnonymous: self.context.settings.allowsAnonymous,
                at: self.context.now.monotonic)
        else {
            return self.pool.closeWebSocket(
                connection, probe, WebSocketCloseCode(rawValue: 1008), "the session is over")
        }
        if let number = probe.remoteProbe?.number { self.engine.remoteProbes[number] = nil }
        let token = connection.token
        let socket = EngineSocketID(token)
        let webSocket = self.bridge.makeWebSocketState(
            session, dialect: engine.dialect, acceptsCompression: false, isCompressed: false)
        webSocket.reader = probe.reader
        webSocket.engine = EngineState(
            EngineSession(id, engine.settings, movedTo: socket, at: self.context.now.monotonic),
            socket: socket)
        if transfer.expiresAfter != 0 {
            webSocket.expiresAt = self.context.now.monotonic + transfer.expiresAfter
        }
        connection.phase = .webSocket(webSocket)
        self.engine.sessions[id] = token
        for packet in transfer.packets {
            Array(packet.utf8).withUnsafeBytes { self.pool.sendFrame(connection, .text, $0) }
        }
        self.bridge.beginSession(webSocket, connection)
        if connection.isConnected { self.bridge.resumeReadingIfUnblocked(connection, webSocket) }
    }

    // MARK: Messages from other nodes

    mutating func receiveForwardedMessage(_ text: String, from node: UInt64) {
        switch ForwardedMessage(text) {
        case .request(let request): self.handleRequest(request, from: node)
        case .reply(let number, let answer): self.handleReply(number, answer)
        case .broadcast(let dialect, let message):
            self.context.settings.dialects.first { $0.name.description == dialect }?
                .receiveBroadcast(message)
        case nil: break
        }
    }

    /// Sends a dialect's message to the dialect on all other nodes.
    func broadcastToNodes(_ message: String, of dialect: Int) {
        guard let relay = self.context.relay else { return }
        let forwarded = RemoteLoopMessage(
            to: 0,
            ForwardedMessage.encodeBroadcast(
                message, of: self.context.settings.dialects[dialect].name.description))
        for node in self.bridge.chat.view.nodes
        where node.incarnation != self.bridge.chat.id.incarnation {
            relay.send(forwarded, to: node.incarnation, from: self.bridge.chat.id)
        }
    }

}

/// A WebSocket on this node that is to take over a session on another node.
struct RemoteProbe {
    let number: UInt64
    let node: UInt64
    let loop: UInt16
    let session: EngineSessionID
    /// `2probe` has been received.
    var hasReceivedProbe = false
}
