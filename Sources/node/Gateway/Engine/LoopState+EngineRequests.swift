import Bytes
import ChatCore
import ChatModel
import Configuration
import DialectKit
import EngineIO
import EngineTransport
import EventLoop
import HTTPWire

/// Handles Engine.IO requests: handshakes, polls, POSTs, and WebSockets that take over a session.
extension LoopState {
    /// Handles an Engine.IO request whose head was parsed.
    ///
    /// - Parameters:
    ///   - request: the input from the first byte of the request.
    ///   - offset: the end of the request's head. Set to the end of the input if the connection
    ///     moves to another loop.
    mutating func readEngineRequest(
        _ connection: Connection, _ exchange: HTTPExchange, _ engine: EngineEndpoint,
        request: UnsafeRawBufferPointer, _ offset: inout Int, end: Int,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        let span = request.bytes
        let body = self.http.head.body
        // After an unread body the next request cannot be found.
        let closingContext = self.http.responseContext(
            willClose: self.context.isDraining || body != .bytes(0))
        let isWebSocket = WebSocketUpgrade.isRequested(by: self.http.head, in: span)
        let engineRequest: EngineRequest
        do throws(EngineRefusal) {
            guard self.http.isAllowedOrigin(connection, span) else { throw .forbidden }
            engineRequest = try self.http.engineRequest(span, isWebSocket: isWebSocket)
        } catch {
            return self.refuseEngineRequest(
                connection, error, closingContext,
                because: error == .forbidden ? .originRefused : nil)
        }
        let trace = exchange.requestInfo?.trace
        let upgrade = isWebSocket ? try WebSocketUpgrade(self.http.head, in: span) : nil
        do throws(EngineRefusal) {
            switch engineRequest {
            case .handshake:
                if let refusal = self.admissionError {
                    return self.refuseEngineRequest(
                        connection, .unavailable, closingContext, because: refusal)
                }
                let session = try self.openDialectSession(connection, engine, span)
                self.http.recordToken(connection)
                // Clients without a token are bounded in number, and their first frames count.
                if self.http.hasToken,
                    let error = self.http.connectRefusal(of: self.http.limitKey(connection))
                {
                    return self.http.refuse(connection, error, self.context.closingContext)
                }
                let peer = self.http.clientAddress(connection)
                guard
                    let share = self.engineAddressShare(
                        connection, of: peer, isWebSocket: upgrade != nil)
                else {
                    return self.refuseEngineRequest(
                        connection, .unavailable, closingContext, because: .addressFull)
                }
                if let upgrade {
                    connection.addressShare = share
                    self.openOnWebSocket(
                        connection, engine, session, upgrade, peer: peer, trace: trace)
                } else {
                    exchange.state = .engine(PendingEngineRequest(closingContext))
                    self.openPolling(
                        connection, engine, session, peer: peer, share: share, trace: trace)
                }
            case .poll(let id):
                let known = try self.sessionRequest(id, connection, span)
                exchange.state = .engine(PendingEngineRequest(closingContext))
                self.requestSession(connection, request, &offset, end: end) {
                    $0.poll(known, at: $1, isMember: $2, into: &$3)
                }
            case .post(let id):
                let known = try self.sessionRequest(id, connection, span)
                exchange.state = .engine(PendingEngineRequest(responseContext))
                var announcedBytes: Int?
                if case .bytes(let count) = body { announcedBytes = count }
                let isWhole = announcedBytes.map {
                    request.count - self.http.head.byteCount >= $0
                }
                self.requestSession(connection, request, &offset, end: end) {
                    $0.post(
                        known, announcedBytes: announcedBytes, isWhole: isWhole ?? false, at: $1,
                        isMember: $2, into: &$3)
                }
            case .upgrade(let id):
                let known = try self.sessionRequest(id, connection, span)
                if let owner = known.owner,
                    let error = self.http.connectRefusal(
                        of: LimitKey(
                            owner.user, tenant: owner.tenant,
                            from: self.http.clientAddress(connection).ip))
                {
                    return self.http.refuse(connection, error, self.context.closingContext)
                }
                exchange.state = .engine(PendingEngineRequest(closingContext, upgrade: upgrade))
                self.requestSession(connection, request, &offset, end: end) {
                    $0.upgrade(known, at: $1, isMember: $2, into: &$3)
                }
            }
        } catch {
            self.refuseEngineRequest(connection, error, closingContext)
        }
    }

    mutating func refuseEngineRequest(
        _ connection: Connection, _ refusal: EngineRefusal, _ responseContext: HTTPResponseContext,
        because error: HTTPError? = nil
    ) {
        self.context.recordRefusal(
            error.flatMap { RefusalReason($0) } ?? RefusalReason(refusal),
            error?.message ?? refusal.message, connection, self.http.requestInfo(connection))
        self.http.respond(connection, HTTPResponse(.refused(refusal)), responseContext)
    }

    /// The request as the server needs it. The unguessable `sid` is sufficient, unless a token
    /// contradicts it.
    private func sessionRequest(
        _ id: EngineSessionID, _ connection: Connection, _ span: RawSpan
    ) throws(EngineRefusal) -> EngineSessionRequest {
        // A client that polls is active.
        if let token = self.engineIO?.server.session(id), let session = self.pool[token] {
            self.pool.recordActivity(session)
            if session.isIdentified { self.pool.identified(connection) }
        }
        return EngineSessionRequest(
            for: id, on: connection.token, by: try self.http.requestIdentity(span),
            owner: self.sessionOwner(id),
            proof: EngineRequest.proof(in: span.extracting(self.http.head.query ?? 0..<0)),
            canMove: self.pool.canMove(connection))
    }

    /// Passes a request to the server. If another loop of this node has the session, the connection
    /// moves there with its input.
    private mutating func requestSession(
        _ connection: Connection, _ request: UnsafeRawBufferPointer, _ offset: inout Int,
        end: Int,
        _ event: (
            inout EngineServer, _ now: Int64, _ isMember: (UInt64) -> Bool,
            inout EngineDirectives
        ) -> Void
    ) {
        guard let engineIO = self.engineIO else { return }
        connection.deadline = 0
        var directives = EngineDirectives()
        event(&engineIO.server, self.context.now.monotonic, self.isNodeInView, &directives)
        if case .moveRequest(_, let loop)? = directives.list.first {
            offset = end
            return self.moveRequest(connection, to: loop, Array(request))
        }
        self.execute(directives)
    }

    // MARK: Handshakes

    /// The reason to refuse a new client; nil if there is none.
    private var admissionError: HTTPError? {
        mutating get {
            guard self.http.admitClient() else { return .tooManyConnects }
            let limit = self.context.live.limits.connections
            return self.context.shared.connectionCount.value <= limit ? nil : .nodeFull
        }
    }

    /// The place of a new session in the counts of its client's address; nil if there is none left.
    ///
    /// A polling session counts beside the connections that carry its polls.
    private func engineAddressShare(
        _ connection: Connection, of peer: SocketAddress, isWebSocket: Bool
    ) -> AddressShare? {
        if isWebSocket, let share = connection.addressShare { return share }
        if !isWebSocket { self.pool.makeRoomForUnidentified(for: connection.token) }
        return self.pool.admit(
            peer.ip, hasToken: self.http.hasToken, for: connection.token)
    }

    /// Opens the dialect's session for a new client.
    private mutating func openDialectSession(
        _ connection: Connection, _ engine: EngineEndpoint, _ span: RawSpan
    ) throws(EngineRefusal) -> any DialectSession {
        guard let request = (try? self.http.dialectRequest(connection, span)) ?? nil,
            case .session(let session)? = self.context.settings.dialects[engine.dialect].open(
                request)
        else { throw .badRequest }
        self.http.credentials = request.credentials
        if case .invalid(let sentence) = request.credentials {
            self.context.recordRefusal(
                .token, sentence, connection, self.http.requestInfo(connection))
        }
        return session
    }

    private mutating func openPolling(
        _ request: Connection, _ engine: EngineEndpoint, _ session: any DialectSession,
        peer: SocketAddress, share: AddressShare, trace: TraceParent?
    ) {
        request.deadline = 0
        let webSocket = self.bridge.makeWebSocketState(
            session, dialect: engine.dialect, acceptsCompression: false, isCompressed: false,
            content: .packets)
        webSocket.expiresAt = self.http.tokenExpiry
        self.context.shared.connectionCount.add()
        let connection = Connection(
            token: self.context.loop.reserve(), peer: peer, listenerRole: .clients,
            addressShare: share, phase: .webSocket(webSocket))
        self.pool.addPolling(connection)
        if self.http.hasToken { self.pool.identified(connection) }
        self.context.logDetails[connection.token.slot] = ConnectionLogDetails(trace: trace)
        let (token, now) = (connection.token, self.context.now.monotonic)
        let hasInvalidToken = self.http.hasInvalidToken
        var directives = EngineDirectives()
        self.engineIO?.server.openSession(
            token, by: request.token, hasInvalidToken: hasInvalidToken, at: now, into: &directives)
        self.bridge.beginSession(webSocket, connection)
        self.execute(directives)
    }

    private mutating func openOnWebSocket(
        _ connection: Connection, _ engine: EngineEndpoint, _ session: any DialectSession,
        _ upgrade: WebSocketUpgrade, peer: SocketAddress, trace: TraceParent?
    ) {
        self.context.countResponse(.switchingProtocols)
        self.pool.send(connection, self.pool.frames.encodeResponse(of: upgrade.uncompressed))
        let webSocket = self.bridge.makeWebSocketState(
            session, dialect: engine.dialect, acceptsCompression: false, isCompressed: false,
            content: .packets)
        webSocket.expiresAt = self.http.tokenExpiry
        connection.phase = .webSocket(webSocket)
        connection.peer = peer
        self.context.logDetails[connection.token.slot] = ConnectionLogDetails(trace: trace)
        let (token, now) = (connection.token, self.context.now.monotonic)
        self.updateEngine { $0.openSession(onWebSocket: token, at: now, into: &$1) }
        self.bridge.beginSession(webSocket, connection)
    }

    // MARK: Responses

    /// Sends the response of a pending request. Then the connection may send the next request.
    mutating func respond(_ token: SocketToken, _ response: EngineResponse, closes: Bool) {
        guard let connection = self.pool[token], case .http(let exchange) = connection.phase,
            case .engine(let pending) = exchange.state
        else { return }
        // After an unread body the next request cannot be found. A drain may have begun since the
        // request.
        if closes || self.context.isDraining || pending.body != nil {
            pending.responseContext.keepsAlive = false
        }
        exchange.state = .readingHead
        if case .refused(let refusal) = response {
            self.context.recordRefusal(
                RefusalReason(refusal), refusal.message, connection, exchange.requestInfo)
        }
        self.http.respond(connection, HTTPResponse(response), pending.responseContext)
        // If the response is unsent, the drained backlog resumes reading.
        if connection.isConnected, connection.closeState == .open, connection.backlog.isEmpty,
            !connection.unread.isEmpty
        {
            self.pool.readBufferedInput(connection)
        }
    }

    // MARK: Bodies

    /// Begins to receive the body of the POST whose head is being read.
    mutating func receiveEngineBody(_ token: SocketToken) {
        guard let engine = self.engineIO?.endpoint, let connection = self.pool[token],
            case .http(let exchange) = connection.phase, case .engine(let pending) = exchange.state
        else { return }
        do throws(HTTPError) {
            let isComplete = try self.http.beginEngineBody(
                connection, pending, byteLimit: engine.settings.maxPayload)
            if isComplete { self.engineBodyReceived([], connection) }
        } catch {
            self.engineBodyTooLong(connection)
        }
    }

    mutating func engineBodyReceived(_ body: [UInt8], _ connection: Connection) {
        let (token, now) = (connection.token, self.context.now.monotonic)
        self.updateEngine { $0.bodyReceived(body, of: token, at: now, into: &$1) }
    }

    mutating func engineBodyTooLong(_ connection: Connection) {
        if case .http(let exchange) = connection.phase, case .engine(let pending) = exchange.state {
            pending.responseContext = self.context.closingContext
        }
        let (token, now) = (connection.token, self.context.now.monotonic)
        self.updateEngine { $0.bodyTooLong(of: token, at: now, into: &$1) }
    }
}

extension HTTPServer {
    /// Parses the meaning of an Engine.IO request.
    fileprivate func engineRequest(_ span: RawSpan, isWebSocket: Bool) throws(EngineRefusal)
        -> EngineRequest
    {
        let method: EngineMethod =
            switch self.head.method {
            case .get: .get
            case .post: .post
            default: .other
            }
        return try EngineRequest(
            method, query: span.extracting(self.head.query ?? 0..<0), isWebSocket: isWebSocket)
    }
}

extension HTTPResponse {
    fileprivate init(_ response: EngineResponse) {
        self.init(
            response.status, contentType: response.contentType, fields: response.fields,
            body: response.body)
    }
}
