import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Cluster
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// Carries out what the HTTP server leaves to the loop: upgrades to WebSockets, and Engine.IO.
extension LoopState {
    mutating func perform(
        _ action: HTTPServer.RequestAction, _ connection: Connection, _ exchange: HTTPExchange,
        _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) {
        switch action {
        case .upgrade(let request):
            self.upgrade(
                connection, exchange, request,
                unread: UnsafeRawBufferPointer(rebasing: buffer[offset...]),
                &offset)
        case .engine(let endpoint, let start, let responseContext):
            let request = UnsafeRawBufferPointer(rebasing: buffer[start...])
            do throws(HTTPError) {
                try self.readEngineRequest(
                    connection, exchange, endpoint, request: request, &offset,
                    end: buffer.count, responseContext)
            } catch {
                self.http.refuse(connection, error, self.http.responseContext(willClose: true))
            }
        case .engineUnavailable(let error, let responseContext):
            self.refuseEngineRequest(connection, .unavailable, responseContext, because: error)
        case .engineBody(let body): self.engineBodyReceived(body, connection)
        case .engineBodyTooLong: self.engineBodyTooLong(connection)
        }
    }

    /// Opens a WebSocket, or asks the chat engine whether it may be opened.
    private mutating func upgrade(
        _ connection: Connection, _ exchange: HTTPExchange, _ request: UpgradeRequest,
        unread: UnsafeRawBufferPointer, _ offset: inout Int
    ) {
        let session: (any DialectSession)?
        switch request.opening {
        case .echo: session = nil
        case .session(let opened): session = opened
        case .awaitingAnswer(let command, let key, _):
            exchange.state = .awaitingUpgradeDecision
            self.pool.pauseReading(connection)
            self.pool.setDeadline(connection, after: self.context.live.limits.header)
            return self.bridge.submitUpgrade(request, command, in: key, for: connection)
        }
        if self.openWebSocket(connection, request, session, unread: unread) {
            offset += unread.count
        }
    }

    /// Turns the connection into a WebSocket.
    ///
    /// - Returns: whether it moved to another loop, together with its unread input.
    private mutating func openWebSocket(
        _ connection: Connection, _ request: UpgradeRequest, _ session: (any DialectSession)?,
        unread: UnsafeRawBufferPointer
    ) -> Bool {
        let response = self.pool.frames.encodeResponse(of: request.upgrade)
        self.context.countResponse(.switchingProtocols)
        let details = ConnectionLogDetails(trace: self.http.requestInfo(connection)?.trace)
        let webSocket = self.bridge.makeWebSocketState(
            session, dialect: request.dialect,
            acceptsCompression: request.upgrade.clientMayCompress,
            isCompressed: request.upgrade.serverMayCompress)
        webSocket.expiresAt = request.expiry
        connection.phase = .webSocket(webSocket)
        connection.peer = request.peer
        connection.addressShare = request.addressShare
        if let session, let conversation = session.homeConversation {
            let loops = self.context.settings.loopCount
            let loop = View.preferredLoop(of: conversation, loops: loops)
            if loop != self.context.index, self.pool.canMove(connection) {
                self.moveWebSocket(
                    connection, to: loop, webSocket, session, response: response,
                    unread: Array(unread), trace: details?.trace)
                return true
            }
        }
        self.context.logDetails[connection.token.slot] = details
        self.pool.hold(connection, response)
        self.bridge.beginSession(webSocket, connection)
        return false
    }

    /// Opens or refuses the WebSockets about which the chat engine has decided.
    mutating func decideUpgrades() {
        guard !self.bridge.queues.upgrades.isEmpty else { return }
        let decisions = self.bridge.queues.upgrades
        self.bridge.queues.upgrades = []
        for (token, request, answer) in decisions {
            guard let connection = self.pool[token], connection.closeState == .open,
                case .http(let exchange) = connection.phase,
                case .awaitingUpgradeDecision = exchange.state
            else { continue }
            self.decideUpgrade(of: connection, exchange, request, answer)
        }
    }

    private mutating func decideUpgrade(
        of connection: Connection, _ exchange: HTTPExchange, _ request: UpgradeRequest,
        _ answer: ChatAnswer
    ) {
        guard case .awaitingAnswer(_, _, let then) = request.opening else { return }
        exchange.state = .readingHead
        switch then(answer) {
        case .refused(let status, let sentence):
            var responseContext = request.responseContext
            // A drain may have begun in the meantime.
            if self.context.isDraining { responseContext.keepsAlive = false }
            self.http.refuse(
                connection, HTTPError(HTTPStatus(rawValue: status), sentence), responseContext)
            self.http.resumeReadingIfAnswered(connection, exchange)
        case .session(let session):
            let unread = connection.unread
            let hasMoved = unread.withUnsafeBytes {
                self.openWebSocket(connection, request, session, unread: $0)
            }
            guard !hasMoved, let webSocket = connection.webSocket else { return }
            self.bridge.resumeReadingIfUnblocked(connection, webSocket)
        case .awaitingAnswer:
            preconditionFailure("an answer to a question before the upgrade is no other question")
        }
    }
}
