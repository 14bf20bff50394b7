public import DialectKit

/// One row of the routing table: a path, what answers its requests, and the rules for them.
public struct Route: Sendable {
    /// The part of the node that answers the requests.
    enum Target: Sendable {
        case handler(any RequestHandler)
        /// A WebSocket of the dialect with this index.
        case upgrade(dialect: Int)
        /// A WebSocket that returns each frame.
        case echo
        /// Engine.IO: polls, POSTs and WebSockets.
        case engine(EngineEndpoint)
        /// The path has no resource.
        case notFound

        /// Whether only requests for a WebSocket succeed; nil if both kinds may.
        var opensWebSocket: Bool? {
            switch self {
            case .handler, .notFound: false
            case .upgrade, .echo: true
            case .engine: nil
            }
        }
    }

    /// The methods that the router admits. For other methods it answers 405.
    enum Methods: Sendable {
        /// The target checks the method.
        case any
        case getAndHead
    }

    /// Which pages of other origins may use the path.
    enum CrossOriginRule: Sendable {
        /// The response has no CORS fields. WebSocket requests have no preflight, so only their
        /// `Origin` is checked.
        case none
        case allowedOrigins
        /// A plain request of any page is answered, and the browser hides the response from pages
        /// that are not allowed. Preflights of those are refused.
        case anyOrigin
    }

    /// Which requests are answered while the node admits no clients: it is starting, it is
    /// draining, or it has all the connections that it may have.
    enum UnavailableRule: Sendable {
        /// None: all get 503.
        case refuse
        /// Those of existing Engine.IO sessions, except while the node is starting. A drain closes
        /// such a session at its own deadline, not between two polls.
        case answerSessions
        /// All.
        case answer
    }

    /// The body of error responses.
    enum ErrorBody: Sendable {
        /// `{"error":"…"}`
        case plain
        /// `{"success":false,"error":"…"}`
        case api
    }

    let pattern: PathPattern
    let target: Target
    var methods = Methods.any
    var crossOrigin = CrossOriginRule.none
    var whileUnavailable = UnavailableRule.refuse
    var errorBody = ErrorBody.plain
    /// A POST sends a message. Its errors have the `outcome` `refused`, even if it never reaches
    /// the handler. The handler itself reports an unknown outcome.
    var sendsMessages = false

    init(_ pattern: PathPattern, _ target: Target) {
        self.pattern = pattern
        self.target = target
    }

    /// A part of the REST API, for pages of the allowed origins.
    ///
    /// - Parameter sendsMessages: whether a POST sends a message.
    public static func api(
        _ pattern: PathPattern, _ handler: any RequestHandler, sendsMessages: Bool = false
    ) -> Route {
        var route = self.api(pattern, .handler(handler))
        route.sendsMessages = sendsMessages
        return route
    }

    static func api(_ pattern: PathPattern, _ target: Target) -> Route {
        var route = Route(pattern, target)
        route.crossOrigin = .allowedOrigins
        route.errorBody = .api
        return route
    }

    /// An endpoint that load balancers probe, in every state of the node and at any rate.
    static func probe(_ pattern: PathPattern, _ handler: any RequestHandler) -> Route {
        var route = Self.api(pattern, handler)
        route.methods = .getAndHead
        route.crossOrigin = .anyOrigin
        route.whileUnavailable = .answer
        return route
    }

    /// A page or a file of one. A browser gets it in every state of the node.
    public static func page(_ pattern: PathPattern, _ handler: any RequestHandler) -> Route {
        var route = Route(pattern, .handler(handler))
        route.methods = .getAndHead
        route.whileUnavailable = .answer
        return route
    }

    static func engine(_ pattern: PathPattern, _ engine: EngineEndpoint) -> Route {
        var route = Route(pattern, .engine(engine))
        route.crossOrigin = .allowedOrigins
        route.whileUnavailable = .answerSessions
        return route
    }

    /// Whether load balancers probe the path.
    var isProbe: Bool { self.crossOrigin == .anyOrigin }

    /// Whether plain requests count against the client's rate. Those for unknown paths count too.
    var isRateLimited: Bool { self.crossOrigin == .allowedOrigins }

    func matches(_ path: RawSpan) -> Bool {
        // The ids in the paths of dialects are percent-encoded. Handlers decode their paths.
        self.pattern.matches(path, isDecoded: self.target.opensWebSocket == true)
    }
}
