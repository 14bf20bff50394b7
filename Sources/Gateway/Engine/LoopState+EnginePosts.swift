import Bytes
import ChatCore
import EngineIO
import EventLoop
import HTTPWire

/// Receives the bodies of Engine.IO POSTs.
extension LoopState {
    mutating func beginPost(
        _ connection: Connection, _ exchange: HTTPExchange, _ engine: EngineEndpoint,
        _ session: SocketToken,
        _ responseContext: HTTPResponseContext,
        _ fields: [HTTPField]
    ) {
        let request = EngineRequestID(self.token(connection))
        // If the session answers before the body is complete, the rest is not read and the
        // connection closes.
        let closingContext = HTTPResponseContext(
            answersHead: false, keepsAlive: false, date: self.context.date)
        self.beginWaiting(
            connection, exchange,
            PendingEngineRequest(
                session: session, responseContext: closingContext, fields: fields, isPost: true))
        guard let owner = self.pool[session], case .webSocket(let webSocket) = owner.phase,
            let state = webSocket.engine
        else { return }
        var announcedBytes: Int?
        if case .bytes(let count) = self.http.head.body { announcedBytes = count }
        // A client whose messages wait may send at most one more payload.
        if state.unreadPostBytes > engine.settings.maxPayload { announcedBytes = .max }
        self.updateEngine(session) {
            $0.postBegan(request, announcedBytes: announcedBytes, into: &$1)
        }
        guard connection.isConnected, let waiting = exchange.engineRequest else { return }
        waiting.responseContext = responseContext
        do throws(HTTPError) {
            let isComplete = try self.http.beginEngineBody(
                connection, exchange, byteLimit: engine.settings.maxPayload, responseContext)
            if isComplete { self.endPost(connection, exchange, []) }
        } catch {
            self.endPostTooLong(connection, exchange)
        }
    }

    /// - Parameter isWhole: whether the complete body has arrived, so that one message is
    ///   sufficient.
    mutating func beginForwardedPost(
        _ connection: Connection, _ exchange: HTTPExchange, _ engine: EngineEndpoint,
        _ post: PendingEngineRequest.ForwardedPost, isWhole: Bool,
        _ responseContext: HTTPResponseContext, _ fields: [HTTPField]
    ) {
        let waiting = PendingEngineRequest(
            session: nil, responseContext: responseContext, fields: fields, isPost: true)
        waiting.forwardedPost = post
        self.beginWaiting(connection, exchange, waiting)
        if !isWhole {
            let announcedBytes =
                if case .bytes(let count) = self.http.head.body { String(count) } else { "" }
            self.forward(.postStarted, post, connection, body: announcedBytes)
        }
        do throws(HTTPError) {
            let isComplete = try self.http.beginEngineBody(
                connection, exchange, byteLimit: engine.settings.maxPayload, responseContext)
            if isComplete { self.endPost(connection, exchange, []) }
        } catch {
            self.endPostTooLong(connection, exchange)
        }
    }

    /// Passes the complete body of a POST to its session.
    mutating func endPost(_ connection: Connection, _ exchange: HTTPExchange, _ body: [UInt8]) {
        guard let engine = exchange.engineRequest else { return }
        if let post = engine.forwardedPost {
            engine.forwardedPost = nil
            guard let text = String(validating: body, as: UTF8.self) else {
                return self.forward(.binaryPost, post, connection, body: Base64URL.encode(body))
            }
            return self.forward(.post, post, connection, body: text)
        }
        guard let session = engine.session else { return }
        let request = EngineRequestID(self.token(connection))
        let now = self.context.now.monotonic
        self.updateEngine(session, body) { $0.postEnded(request, $1, at: now, into: &$2) }
    }

    /// Reports a body that exceeds the limit to the session.
    mutating func endPostTooLong(_ connection: Connection, _ exchange: HTTPExchange) {
        guard let engine = exchange.engineRequest else { return }
        let closingContext = HTTPResponseContext(
            answersHead: false, keepsAlive: false, date: self.context.date)
        engine.responseContext = closingContext
        if let post = engine.forwardedPost {
            engine.forwardedPost = nil
            return self.forward(.postTooLong, post, connection)
        }
        let request = EngineRequestID(self.token(connection))
        guard let session = engine.session else {
            return self.refusePending(request, engine, .payloadTooLarge)
        }
        self.updateEngine(session) { $0.postTooLarge(request, into: &$1) }
    }
}
