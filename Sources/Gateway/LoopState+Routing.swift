import Bytes
import ChatModel
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import Synchronization

/// Passes each HTTP request to the target of its route, by the rules of the route.
extension LoopState {
    /// Answers the request whose head was parsed, or begins to receive its body.
    ///
    /// - Parameter start: the offset of the request's first byte.
    mutating func routeRequest(
        _ connection: Connection, _ exchange: HTTPExchange, _ info: HTTPExchange.RequestInfo,
        _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int, from start: Int,
        _ span: RawSpan
    ) throws(HTTPError) {
        let route = info.route
        // After an unread body the next request cannot be found.
        let closingContext = HTTPResponseContext(self.head, date: self.date, willClose: true)
        let responseContext = HTTPResponseContext(
            self.head, date: self.date, willClose: self.isDraining)
        let bodilessContext = self.head.body == .bytes(0) ? responseContext : closingContext
        let engine = self.engineEndpoint(route)
        if let refusal = self.availabilityError(connection, route, span) {
            self.counters.refusedConnections += 1
            // Engine.IO clients expect the errors of their protocol.
            guard engine == nil else {
                return self.refuseEngineRequest(connection, .unavailable, closingContext, [])
            }
            self.refuse(connection, refusal, closingContext)
            return
        }
        if let engine {
            do throws(HTTPError) {
                try self.readEngineRequest(
                    connection, exchange, engine, span,
                    request: UnsafeRawBufferPointer(rebasing: buffer[start...]), &offset,
                    end: buffer.count, responseContext
                )
            } catch {
                self.refuse(connection, error, closingContext)
            }
            return
        }
        if let crossOrigin = info.crossOrigin,
            self.answerCrossOrigin(crossOrigin, route, connection, span, bodilessContext)
        {
            return
        }
        do throws(HTTPError) {
            if self.isClient(connection),
                try self.openWebSocket(
                    connection, route, span,
                    unread: UnsafeRawBufferPointer(rebasing: buffer[offset...]), &offset)
            {
                return
            }
        } catch {
            self.refuse(connection, error, bodilessContext)
            return
        }
        let request = self.httpRequest(connection, span)
        do throws(HTTPError) {
            try self.beginBody(connection, exchange, request, responseContext)
        } catch {
            self.refuse(connection, error, closingContext)
        }
    }

    /// The reason to refuse a request at present; nil if there is none.
    private mutating func availabilityError(
        _ connection: Connection, _ route: Route, _ span: RawSpan
    )
        -> HTTPError?
    {
        let status = self.shared.health.status
        // The node may hand over its shards before this loop drains.
        let isDraining = self.isDraining || status == .draining
        guard isDraining || status == .starting || connection.isOverLimit else {
            return nil
        }
        switch route.whileUnavailable {
        case .answer: return nil
        case .answerSessions:
            if status != .starting, self.head.method != .options, self.namesEngineSession(span) {
                return nil
            }
        case .refuse: break
        }
        let sentence =
            isDraining
            ? "The node is draining; connect again."
            : status == .starting
                ? "The node is starting; connect again."
                : "The node has all the connections it may have."
        return HTTPError(.serviceUnavailable, sentence, fields: [HTTPField("Retry-After", "1")])
    }

    /// Finds the route of the request, and its CORS fields if the route has any.
    mutating func makeRequestInfo(_ connection: Connection, _ span: RawSpan)
        -> HTTPExchange.RequestInfo
    {
        let router = self.isClient(connection) ? self.shared.clientRouter : self.shared.adminRouter
        let route = router.route(
            for: span.extracting(self.head.path),
            wantsWebSocket: WebSocketUpgrade.isRequested(by: self.head, in: span))
        // A connect to a WebSocket costs nothing for CORS.
        guard route.crossOrigin != .none else { return .init(route: route, crossOrigin: nil) }
        let crossOrigin = CrossOrigin(
            self.head.fields.text("origin", in: span), host: self.requestedHost(connection, span),
            isSecure: self.isSecure(connection, span),
            self.live.origins)
        return .init(route: route, crossOrigin: crossOrigin)
    }

    /// Prepares the error for a request whose head cannot be parsed: its shape depends on the path.
    func setUnreadableRequestInfo(
        _ connection: Connection, _ exchange: HTTPExchange, _ bytes: UnsafeRawBufferPointer
    ) {
        guard self.isClient(connection) else { return }
        let route = self.shared.clientRouter.route(ofUnreadable: bytes)
        guard route.errorBody == .api else { return }
        exchange.requestInfo = HTTPExchange.RequestInfo(
            route: route,
            crossOrigin: CrossOrigin(nil, host: nil, isSecure: false, self.live.origins))
    }

    /// Answers a preflight, and refuses a request of a page that is not allowed.
    ///
    /// - Returns: whether the request was answered.
    private mutating func answerCrossOrigin(
        _ crossOrigin: CrossOrigin, _ route: Route, _ connection: Connection, _ span: RawSpan,
        _ responseContext: HTTPResponseContext
    ) -> Bool {
        let isPreflight =
            self.head.method == .options && self.head.field("origin", in: span) != nil
            && self.head.field("access-control-request-method", in: span) != nil
        guard crossOrigin.isAllowed || !isPreflight && route.crossOrigin == .anyOrigin else {
            self.counters.refusedConnections += 1
            self.refuse(connection, CrossOrigin.refusal, responseContext)
            return true
        }
        if isPreflight {
            self.respond(connection, CrossOrigin.preflight(self.live.origins), responseContext)
        }
        return isPreflight
    }
}
