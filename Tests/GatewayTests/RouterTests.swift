import Bytes
import ChatModel
import DialectKit
import EventLoop
import GatewayTestSupport
import HTTPWire
import Testing

@testable import Gateway

@Suite("The routing table")
struct RouterTests {
    /// The target of a route, in a form that tests can compare.
    enum Kind: Equatable {
        case health, live, rooms, page, admin, echo, engine, notFound
        case upgrade(String)
    }

    /// A handler that a test recognizes by its kind.
    struct MarkedHandler: RequestHandler {
        let kind: Kind
        func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
            throw .notFound
        }
    }

    struct Match: CustomTestStringConvertible {
        let path: String
        let kind: Kind
        let crossOrigin: Route.CrossOriginRule
        let whileUnavailable: Route.UnavailableRule
        let errorBody: Route.ErrorBody

        init(
            _ path: String, _ kind: Kind, _ crossOrigin: Route.CrossOriginRule = .none,
            _ whileUnavailable: Route.UnavailableRule = .refuse,
            _ errorBody: Route.ErrorBody = .plain
        ) {
            self.path = path
            self.kind = kind
            self.crossOrigin = crossOrigin
            self.whileUnavailable = whileUnavailable
            self.errorBody = errorBody
        }

        var testDescription: String { self.path }
    }

    static let settings: GatewaySettings = {
        var settings = GatewaySettings(
            nodeName: "n1", incarnation: 1, version: "0", loopCount: 1, clientHost: "127.0.0.1",
            clientPort: 0, adminHost: nil, adminPort: 0,
            dialects: TestNode.allDialects,
            trustedProxies: [], echoPath: "/echo")
        settings.allowsAnonymous = true
        return settings
    }()

    static func router(pages: [Route] = []) -> Router {
        Router(
            self.settings, EngineEndpoint(self.settings), health: MarkedHandler(kind: .health),
            liveness: MarkedHandler(kind: .live),
            handlers: [.api("/api/conversations/**", MarkedHandler(kind: .rooms))] + pages)
    }

    static func kind(of route: Route) -> Kind? {
        switch route.target {
        case .handler(let handler): (handler as? MarkedHandler)?.kind
        case .upgrade(let dialect): .upgrade(self.settings.dialects[dialect].name.description)
        case .echo: .echo
        case .engine: .engine
        case .notFound: .notFound
        }
    }

    static func route(_ router: Router, _ path: String, wantsWebSocket: Bool = false) -> Route {
        Array(path.utf8).withUnsafeBytes {
            router.route(for: $0.bytes, wantsWebSocket: wantsWebSocket)
        }
    }

    static let rows = [
        Match("/api/health", .health, .anyOrigin, .answer, .api),
        Match("/api/health/", .health, .anyOrigin, .answer, .api),
        Match("/api/live", .live, .anyOrigin, .answer, .api),
        Match("/api/health//", .notFound, .allowedOrigins, .refuse, .api),
        Match("/api/conversations", .rooms, .allowedOrigins, .refuse, .api),
        Match("/api/conversations/", .rooms, .allowedOrigins, .refuse, .api),
        Match("/api/conversations/x/join", .rooms, .allowedOrigins, .refuse, .api),
        Match("/api/conversationss", .notFound, .allowedOrigins, .refuse, .api),
        Match("/api", .notFound, .allowedOrigins, .refuse, .api),
        Match("/api/", .notFound, .allowedOrigins, .refuse, .api),
        Match("/apis", .notFound), Match("/%61pi/health", .notFound),
        Match("/socket.io", .engine, .allowedOrigins, .answerSessions),
        Match("/socket.io/", .engine, .allowedOrigins, .answerSessions),
        Match("/socket.io/x", .notFound, .allowedOrigins),
        Match("/conversations/42", .upgrade("conversations")),
        Match("/conversations/42/", .upgrade("conversations")),
        Match("/conversations/a%2Fb", .upgrade("conversations")),
        Match("/%63onversations/1", .upgrade("conversations")),
        Match("/conversations//", .upgrade("conversations")),
        Match("/conversations", .notFound), Match("/conversations/", .notFound),
        Match("/conversations/1/2", .notFound), Match("/conversations/%FF", .notFound),
        Match("/conversations/%2", .notFound),
        Match("/ws", .upgrade("pets")), Match("/ws/", .upgrade("pets")), Match("/ws//", .notFound),
        Match("/ws/chats", .upgrade("chats")), Match("/ws/chats/", .upgrade("chats")),
        Match("/v1/ws", .upgrade("agents")),
        Match("/v1/ws/tenant/t/agent/a/channel/c", .upgrade("agents")),
        Match("/v1/ws/tenant/t/agent/a/channel", .notFound),
        Match("/v1/ws/tenant/t/agents/a/channel/c", .notFound),
        Match("/echo", .echo), Match("/", .notFound), Match("*", .notFound), Match("", .notFound),
    ]

    @Test("gives each path one route, with its rules", arguments: rows)
    func table(_ row: Match) {
        // No page shares a path with a WebSocket, so both kinds of requests get the same route.
        for wantsWebSocket in [false, true] {
            let route = Self.route(Self.router(), row.path, wantsWebSocket: wantsWebSocket)
            #expect(Self.kind(of: route) == row.kind)
            #expect(route.crossOrigin == row.crossOrigin)
            #expect(route.whileUnavailable == row.whileUnavailable)
            #expect(route.errorBody == row.errorBody)
            #expect(route.isRateLimited == (row.crossOrigin == .allowedOrigins))
        }
    }

    @Test("admits only GET and HEAD for health")
    func methods() {
        let router = Self.router()
        #expect(Self.route(router, "/api/health").methods == .getAndHead)
        #expect(Self.route(router, "/api/live/").methods == .getAndHead)
        #expect(Self.route(router, "/api/conversations").methods == .any)
    }

    @Test("gives a plain request the page, and a request for a WebSocket the dialect")
    func pages() {
        let page = Route("/conversations/{id}", .handler(MarkedHandler(kind: .page)))
        let router = Self.router(pages: [page])
        for path in ["/conversations/42", "/conversations/42/"] {
            #expect(Self.kind(of: Self.route(router, path)) == .page)
            #expect(
                Self.kind(of: Self.route(router, path, wantsWebSocket: true))
                    == .upgrade("conversations"))
        }
        #expect(Self.kind(of: Self.route(router, "/conversations/1/2")) == .notFound)
    }

    @Test("has one route for every path of the admin listener, in every state of the node")
    func admin() {
        let router = Router(admin: MarkedHandler(kind: .admin))
        for path in ["/metrics", "/api/health", "/conversations/1", "*"] {
            let route = Self.route(router, path)
            #expect(Self.kind(of: route) == .admin)
            #expect(route.crossOrigin == .none && route.whileUnavailable == .answer)
            #expect(route.errorBody == .plain && !route.isRateLimited)
        }
    }

    @Test(
        "shapes the error of an unreadable request by its path",
        arguments: [
            ("GET /api/x HTTP/9\r\n", .api), ("GET /api HTTP/9\r\n", .api),
            ("GET /api?x HTTP/9", .api), ("\r\nGET /api/ HTTP/9", .api),
            ("GET /api/conver", .api), ("GET /api/", .api),
            ("GET /api", .plain), ("GET /apis HTTP/9", .plain), ("GET /", .plain),
            ("GET", .plain), ("", .plain), ("SSH-2.0-OpenSSH_9.2\r\n\r\n", .plain),
        ] as [(String, Route.ErrorBody)])
    func unreadable(text: String, body: Route.ErrorBody) {
        let route = Array(text.utf8).withUnsafeBytes { Self.router().route(ofUnreadable: $0) }
        #expect(route.errorBody == body)
    }
}
