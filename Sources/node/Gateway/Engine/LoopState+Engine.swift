import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Cluster
import DialectKit
import EngineIO
import EngineTransport
import EventLoop
import HTTPWire

/// Passes events to the Engine.IO server, and executes its directives.
extension LoopState {
    /// Passes an event to the server and executes its directives. Does nothing without Engine.IO.
    mutating func updateEngine(_ event: (inout EngineServer, inout EngineDirectives) -> Void) {
        guard let engineIO = self.engineIO else { return }
        var directives = EngineDirectives()
        event(&engineIO.server, &directives)
        self.execute(directives)
    }

    mutating func execute(_ directives: EngineDirectives) {
        for directive in directives.list { self.execute(directive, directives.input) }
    }

    private mutating func execute(_ directive: EngineDirective, _ input: [UInt8]) {
        switch directive {
        case .respond(let token, let response, let closes):
            self.respond(token, response, closes: closes)
        case .receiveBody(let token): self.receiveEngineBody(token)
        case .moveRequest: break  // Handled where the request's input is at hand.
        case .acceptWebSocket(let token, let timeout):
            self.acceptProbe(token, timeout: timeout)
        case .sendPacket(let packet, let token):
            guard let connection = self.pool[token] else { return }
            packet.withBytes { self.pool.sendFrame(connection, .text, $0) }
        case .closeSocket(let token, let code, let reason):
            guard let connection = self.pool[token], let webSocket = connection.webSocket else {
                return
            }
            self.pool.closeWebSocket(
                connection, webSocket, WebSocketCloseCode(rawValue: code), reason)
        case .pauseReading(let token):
            if let connection = self.pool[token] { self.pool.pauseReading(connection) }
        case .takeOver(let socket, let session): self.scheduleTakeover(socket, of: session)
        case .adopt(let token, let transfer): self.adoptSession(token, transfer)
        case .message(let token, let range): self.receivePosted(token, input[range])
        case .binaryMessage(let token):
            guard let connection = self.pool[token], let webSocket = connection.webSocket else {
                return
            }
            self.bridge.receivedMessage(
                connection, webSocket, .binary, UnsafeRawBufferPointer(start: nil, count: 0))
        case .controlPacket(let token):
            guard let connection = self.pool[token], let webSocket = connection.webSocket else {
                return
            }
            _ = self.bridge.admitControlFrame(connection, webSocket)
        case .resumeWriting(let token):
            if let connection = self.pool[token], !connection.backlog.isEmpty {
                self.pool.drainBacklog(connection)
            }
        case .prepareTransfer(let token, let request): self.transferSession(token, request)
        case .endSession(let token, let code):
            guard let connection = self.pool[token], let webSocket = connection.webSocket else {
                return
            }
            if !webSocket.hasSentClose {
                self.pool.closeSent(
                    connection, webSocket, WebSocketCloseCode(rawValue: code),
                    "the transport's session has ended")
            }
            self.pool.drop(connection)
        case .dropSession(let token):
            if let connection = self.pool[token] { self.pool.drop(connection) }
        case .updated(let token): self.engineSessionUpdated(token)
        case .sendToNode(let node, let loop, let text):
            self.context.relay?.send(
                RemoteLoopMessage(to: loop, text), to: node, from: self.bridge.chat.id)
        }
    }

    // MARK: Sessions

    /// Tells whether a node is in the cluster's view.
    var isNodeInView: (UInt64) -> Bool {
        guard self.context.relay != nil else { return { _ in false } }
        let view = self.bridge.chat.view
        return { view.node($0) != nil }
    }

    /// The user of a session of this loop.
    func sessionOwner(_ id: EngineSessionID) -> EngineSessionOwner? {
        guard let token = self.engineIO?.server.session(id),
            let session = self.pool[token]?.webSocket?.session
        else { return nil }
        return EngineSessionOwner(tenant: session.tenant, user: session.principal?.person.id)
    }

    /// After a poll has fetched the last packet, everything counts as delivered, and replays
    /// continue.
    func engineSessionUpdated(_ token: SocketToken) {
        guard let engineIO = self.engineIO, let connection = self.pool[token],
            let webSocket = connection.webSocket
        else { return }
        webSocket.transportDeadline = engineIO.server.deadline(token)
        webSocket.rate?.setUnpolled(engineIO.server.waitingBytes(token))
        self.pool.scheduleTimer(connection)
        self.pool.pollsAnswered(connection)
    }

    /// Answers waiting polls with the packets that were written for them.
    mutating func answerPolls() {
        guard let engineIO = self.engineIO, engineIO.server.needsFlush else { return }
        self.updateEngine { $0.flush(into: &$1) }
    }

    /// Repeats unanswered requests to other nodes.
    mutating func retryEngineRequests() {
        guard let engineIO = self.engineIO, engineIO.server.needsRetry else { return }
        let now = self.context.now.monotonic
        let isMember = self.isNodeInView
        self.updateEngine { $0.retry(at: now, isMember: isMember, into: &$1) }
    }

    // MARK: Messages of clients

    /// Handles a message of a WebSocket that carries packets.
    mutating func receivedPacket(
        _ connection: Connection, _ webSocket: WebSocketState, _ kind: WebSocketMessageKind,
        _ bytes: UnsafeRawBufferPointer
    ) {
        let (token, now) = (connection.token, self.context.now.monotonic)
        if webSocket.content == .packets {
            if kind == .binary {
                return self.bridge.receivedMessage(connection, webSocket, .binary, bytes)
            }
            // Most packets are messages, which the session need not see.
            if bytes.first == EnginePacketKind.message.typeByte {
                return self.bridge.receivedMessage(
                    connection, webSocket, .text,
                    UnsafeRawBufferPointer(rebasing: bytes.dropFirst()))
            }
        }
        guard self.bridge.admitControlFrame(connection, webSocket) else { return }
        if kind == .text {
            self.updateEngine { $0.received(Array(bytes), on: token, at: now, into: &$1) }
        } else {
            self.updateEngine { $0.receivedBinary(on: token, into: &$1) }
        }
    }

    /// Handles a message from a POST.
    private mutating func receivePosted(_ token: SocketToken, _ message: ArraySlice<UInt8>) {
        guard let engineIO = self.engineIO, let connection = self.pool[token],
            let webSocket = connection.webSocket,
            !engineIO.server.retainUnread(
                message, of: token, isReadingPaused: connection.isReadingPaused)
        else { return }
        message.withUnsafeBytes {
            self.bridge.receivedMessage(connection, webSocket, .text, $0)
        }
    }

    /// Handles the messages that arrived while reading was paused.
    mutating func readPostedMessages(_ connection: Connection, _ webSocket: WebSocketState) {
        guard let engineIO = self.engineIO, engineIO.server.hasUnread(connection.token) else {
            return
        }
        let unread = engineIO.server.removeUnread(of: connection.token)
        for index in unread.indices {
            guard connection.isConnected, !webSocket.hasSentClose else { return }
            guard !connection.isReadingPaused else {
                return engineIO.server.returnUnread(unread[index...], to: connection.token)
            }
            unread[index].withUnsafeBytes {
                self.bridge.receivedMessage(connection, webSocket, .text, $0)
            }
        }
    }

    // MARK: Messages from other nodes

    mutating func receiveNodeMessage(_ text: String, from node: UInt64) {
        guard let message = EngineNodeMessage(text) else { return }
        var owner: EngineSessionOwner?
        switch message {
        case .broadcast(let name, let text):
            self.context.settings.dialects.first { $0.name.description == name }?
                .receiveBroadcast(text)
            return
        case .request(let request): owner = self.sessionOwner(request.session)
        case .reply: break
        }
        let now = self.context.now.monotonic
        self.updateEngine { $0.received(message, from: node, owner: owner, at: now, into: &$1) }
    }
}
