import Bytes
import ChatCore
import ChatModel
import DialectKit
import EventLoop
import HTTPWire
import Identity

/// Checks requests for a WebSocket: rate, origin and dialect.
extension HTTPServer {
    /// Checks whether a WebSocket may be opened, if the route is for one.
    ///
    /// - Parameter request: nil if the path cannot belong to a dialect.
    /// - Returns: nil for a plain request.
    mutating func upgradeRequest(
        _ connection: Connection, _ route: Route, _ request: DialectRequest?, _ span: RawSpan
    ) throws(HTTPError) -> UpgradeRequest? {
        var target: (dialect: Int, request: DialectRequest)?
        switch route.target {
        case .echo: break
        case .upgrade(let dialect):
            guard let request else { return nil }
            target = (dialect, request)
        case .handler, .notFound: return nil
        case .engine: throw .methodNotAllowed("GET")  // OPTIONS, but no preflight.
        }
        let upgrade = try WebSocketUpgrade(self.head, in: span)
        guard self.admitClient() else { throw .tooManyConnects }
        guard self.isAllowedOrigin(connection, span) else { throw .originRefused }
        let addressShare = try self.admitAddress(connection)
        var opening = UpgradeRequest.Opening.echo
        if let target {
            if let refusal = self.connectRefusal(of: self.limitKey(connection)) { throw refusal }
            switch self.context.settings.dialects[target.dialect].open(target.request) {
            case .refused(let status, let sentence):
                throw HTTPError(HTTPStatus(rawValue: status), sentence)
            case .session(let session):
                opening = .session(session)
                self.recordIfRefused(session, connection, target.request)
            case .awaitingAnswer(let command, let key, let then):
                opening = .awaitingAnswer(command, in: key, then: then)
            case nil: return nil
            }
        }
        return UpgradeRequest(
            upgrade: upgrade, dialect: target?.dialect ?? -1, expiry: self.tokenExpiry,
            peer: self.clientAddress(connection), addressShare: addressShare,
            responseContext: self.responseContext(
                willClose: self.context.isDraining || self.head.body != .bytes(0)),
            opening: opening)
    }

    /// Records the refusal of a client that learns it over its WebSocket.
    private func recordIfRefused(
        _ session: any DialectSession, _ connection: Connection, _ request: DialectRequest
    ) {
        // A comparison of types, because a cast would cost each connect more.
        guard type(of: session) == RefusedSession.self, let refused = session as? RefusedSession
        else { return }
        var sentence = refused.reason.description
        var reason = RefusalReason.permission
        switch request.credentials {
        case .none: reason = .token
        case .invalid(let invalidity): (reason, sentence) = (.token, invalidity)
        case .bearer: break
        }
        self.context.recordRefusal(reason, sentence, connection, self.requestInfo(connection))
    }

    /// When the token of the present request expires, in monotonic milliseconds; 0 for never.
    var tokenExpiry: Int64 {
        guard case .bearer(let identity) = self.credentials, let expiry = identity.expiry else {
            return 0
        }
        return self.context.now.monotonic
            + max(1, expiry.milliseconds - self.context.now.wall.milliseconds)
    }
}

/// A request for a WebSocket that may be opened, as far as the request itself shows.
struct UpgradeRequest {
    let upgrade: WebSocketUpgrade
    /// The index in the gateway's dialects; -1 for the echo.
    let dialect: Int
    /// When the client's token expires, in monotonic milliseconds; 0 for never.
    let expiry: Int64
    let peer: SocketAddress
    let addressShare: AddressShare
    /// For a refusal.
    let responseContext: HTTPResponseContext
    let opening: Opening

    enum Opening {
        /// A WebSocket without a session, which returns each frame.
        case echo
        case session(any DialectSession)
        /// The answer of the chat engine decides.
        case awaitingAnswer(
            ChatCommand, in: ConversationKey, then: @Sendable (ChatAnswer) -> OpenResult)
    }
}
