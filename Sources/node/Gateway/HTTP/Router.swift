import DialectKit

/// The table of routes of one listener.
///
/// A WebSocket and a page may share a path. A request for a WebSocket then gets the WebSocket, and
/// a plain request gets the page.
struct Router: Sendable {
    /// The first route that matches answers.
    private let routes: [Route]
    /// Answers the requests for all other paths.
    private let fallback: Route

    init(_ routes: [Route], fallback: Route = Route("/**", .notFound)) {
        self.routes = routes
        self.fallback = fallback
    }

    /// The routes of the client port.
    ///
    /// - Parameter handlers: the routes of the REST API and of pages.
    init(
        _ settings: GatewaySettings, _ engine: EngineEndpoint?, health: any RequestHandler,
        liveness: any RequestHandler, handlers: [Route]
    ) {
        var routes: [Route] = []
        if let engine {
            // Polls are the most frequent requests.
            routes.append(.engine(PathPattern(literal: "\(engine.path)"), engine))
        }
        if let path = settings.echoPath { routes.append(Route(PathPattern(literal: path), .echo)) }
        for (index, dialect) in settings.dialects.enumerated() {
            routes += dialect.upgradePaths.map { Route($0, .upgrade(dialect: index)) }
        }
        routes.append(.probe("/api/health", health))
        routes.append(.probe("/api/live", liveness))
        routes += handlers
        // Pages may read why there is nothing at a path of an API.
        routes.append(.api("/api/**", .notFound))
        if let engine {
            var below = Route(PathPattern(stringLiteral: "\(engine.path)/**"), .notFound)
            below.crossOrigin = .allowedOrigins
            routes.append(below)
        }
        self.init(routes)
    }

    /// The routes of the admin listener, whose handler knows its paths. The handler checks the
    /// bearer token before it says whether a path exists.
    init(admin handler: any RequestHandler) {
        var route = Route("/**", .handler(handler))
        route.whileUnavailable = .answer
        self.init([], fallback: route)
    }

    /// - Parameters:
    ///   - path: the path as the client sent it.
    ///   - wantsWebSocket: whether the request asks for a WebSocket.
    func route(for path: RawSpan, wantsWebSocket: Bool) -> Route {
        var other: Route?
        for route in self.routes where route.matches(path) {
            guard let opensWebSocket = route.target.opensWebSocket, opensWebSocket != wantsWebSocket
            else { return route }
            if other == nil { other = route }
        }
        // A plain request for the path of a WebSocket gets 426 if there is no page.
        return other ?? self.fallback
    }

    /// The route of a request that cannot be parsed, which decides the shape of the error.
    ///
    /// - Parameter bytes: the input from the request's first byte.
    func route(ofUnreadable bytes: UnsafeRawBufferPointer) -> Route {
        var line = bytes[...]
        if line.starts(with: "\r\n".utf8) { line = line.dropFirst(2) }
        let target = line.drop { $0 > 0x20 }.dropFirst()
        var path = target.prefix { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "?") }
        // Without its end, the last segment may be incomplete.
        if path.endIndex == target.endIndex {
            path =
                path[..<(path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? path.startIndex)]
        }
        return self.route(
            for: UnsafeRawBufferPointer(rebasing: path).bytes, wantsWebSocket: false)
    }
}
