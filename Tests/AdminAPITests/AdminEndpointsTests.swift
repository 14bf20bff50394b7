import Bytes
import Configuration
import EventLoop
import Foundation
import GatewayTestSupport
import HTTPWire
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import AdminAPI
@testable import Gateway

@Suite("The admin API", .ownThread)
struct AdminEndpointsTests {
    private static let token = Array("an-admins-secret".utf8)

    private static func endpoints(isLoopback: Bool = true, token: [UInt8]? = nil) -> AdminEndpoints
    {
        AdminEndpoints(
            isLoopback: isLoopback, tokens: token.map { try! AdminTokens(parsing: $0) },
            page: { $0.path == "/page" ? HTTPResponse(body: []) : nil }
        ) {
            var snapshot = MetricsSnapshot()
            snapshot.add(1, to: MetricFamily("confab_test", .gauge, help: "A test."))
            return snapshot
        }
    }

    private static func status(
        _ site: AdminEndpoints, method: HTTPMethod = .get, path: String = "/metrics",
        host: String? = "localhost:8090", origin: String? = nil,
        authorization: String? = nil, fetchSite: String? = nil, fetchMode: String? = nil
    ) -> Int {
        let peer = SocketAddress(literal: "127.0.0.1", port: 1)!
        let request = HTTPRequest(
            method: method, path: path, host: host, origin: origin, authorization: authorization,
            fetchSite: fetchSite, fetchMode: fetchMode, peer: peer)
        do throws(HTTPError) {
            return try site.answer(request, body: []).status.rawValue
        } catch {
            return error.status.rawValue
        }
    }

    @Test(
        "accepts only a loopback Host on loopback, against DNS rebinding",
        arguments: [
            ("localhost", 200), ("localhost:8090", 200), ("LocalHost:1", 200),
            ("127.0.0.1:8090", 200), ("127.9.8.7", 200),
            ("[::1]:8090", 200),
            ("[::1]", 200), (nil, 200), ("evil.example", 403), ("evil.example:8090", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403), ("192.0.2.1:8090", 403), ("[2001:db8::1]:8090", 403),
            ("0.0.0.0:8090", 403), ("", 403),
            ("localhost.", 403), ("[::ffff:127.0.0.1]", 200),
        ] as [(String?, Int)])
    func hosts(host: String?, status: Int) {
        #expect(Self.status(Self.endpoints(), host: host) == status)
        // Elsewhere the host name is the operator's choice, and the token decides.
        #expect(
            Self.status(
                Self.endpoints(isLoopback: false, token: Self.token), host: host,
                authorization: "Bearer an-admins-secret") == 200)
    }

    @Test(
        "rejects the pages of other origins",
        arguments: [
            "http://localhost:8080", "http://localhost", "http://127.0.0.1:8090",
            "http://evil.example", "http://localhost:8090.evil.example", "null", "",
        ])
    func origins(origin: String) {
        #expect(Self.status(Self.endpoints(), origin: origin) == 403)
        #expect(
            Self.status(
                Self.endpoints(isLoopback: false, token: Self.token), origin: origin,
                authorization: "Bearer an-admins-secret") == 403)
    }

    @Test(
        "rejects what a browser fetches for other sites, except a link to the operators' page",
        arguments: [
            // The site, the mode, the status of /metrics, that of the page.
            (nil, nil, 200, 200), ("none", "navigate", 200, 200),
            ("same-origin", "cors", 200, 200), ("cross-site", "no-cors", 403, 403),
            ("same-site", "no-cors", 403, 403), ("cross-site", "navigate", 403, 200),
            ("same-site", "navigate", 403, 200), ("unknown", nil, 403, 403),
        ] as [(String?, String?, Int, Int)])
    func fetchSites(site: String?, mode: String?, status: Int, pageStatus: Int) {
        for (path, expected) in [("/metrics", status), ("/page", pageStatus)] {
            let answer = Self.status(
                Self.endpoints(), path: path, fetchSite: site, fetchMode: mode)
            #expect(answer == expected, "\(path)")
        }
    }

    @Test("asks no client without its token for a body")
    func checkBeforeBody() {
        let peer = SocketAddress(literal: "127.0.0.1", port: 1)!
        func status(_ authorization: String?, site: String? = nil) -> Int {
            let request = HTTPRequest(
                method: .post, path: "/api/cluster/ban", host: "localhost",
                authorization: authorization, fetchSite: site, peer: peer)
            do throws(HTTPError) {
                try Self.endpoints(token: Self.token).checkBeforeBody(request)
                return 100
            } catch {
                return error.status.rawValue
            }
        }
        #expect(status("Bearer an-admins-secret") == 100)
        #expect(status(nil) == 401)
        #expect(status("Bearer an-admins-secret", site: "cross-site") == 403)
    }

    @Test("accepts its own page", arguments: ["http://localhost:8090", "https://LOCALHOST:8090"])
    func ownOrigin(origin: String) {
        #expect(Self.status(Self.endpoints(), origin: origin) == 200)
        #expect(Self.status(Self.endpoints(), host: "evil.example", origin: origin) == 403)
        #expect(
            Self.status(Self.endpoints(), host: "evil.example", origin: "http://evil.example")
                == 403)
    }

    @Test("knows the names and rights of its tokens")
    func namedTokens() throws {
        let file = """
            # Tokens of the team\nops operate 0123\n\nreader read abcd\r\nboard view efgh
            prometheus metrics 456789abcdef0123
            """
        let tokens = try AdminTokens(parsing: Array(file.utf8))
        #expect(
            tokens.caller("Bearer 0123")
                == AdminCaller(name: "ops", role: .operate))
        #expect(tokens.caller("Bearer abcd") == AdminCaller(name: "reader", role: .read))
        #expect(tokens.caller("Bearer efgh") == AdminCaller(name: "board", role: .view))
        #expect(
            tokens.caller("Bearer 456789abcdef0123")
                == AdminCaller(name: "prometheus", role: .metrics))
        #expect(tokens.weakNames == ["ops", "reader", "board"])
        #expect(tokens.caller("Bearer ops") == nil && tokens.caller("Bearer 012") == nil)
        let single = try AdminTokens(parsing: Array("secret\n".utf8))
        #expect(single.caller("Bearer secret")?.name == "admin")
    }

    @Test(
        "rejects a file of tokens that it does not understand, and names the line",
        arguments: [
            ("", "is empty: it must contain a token"), ("\n", "is empty: it must contain a token"),
            ("two words", "line 1 is not NAME metrics|view|read|operate TOKEN"),
            ("a read x\nb", "line 2 is not NAME metrics|view|read|operate TOKEN"),
            ("a write x", "line 1: the second word is not metrics|view|read|operate"),
            ("a read x\na operate y", "line 2: the name a is given twice"),
            ("a read \u{7F}", "line 1: the token is not plain ASCII"),
        ])
    func malformedTokens(file: String, reason: String) {
        #expect(throws: AdminTokens.FileError(description: reason)) {
            try AdminTokens(parsing: Array(file.utf8))
        }
    }

    @Test(
        "requires its token, if it has one",
        arguments: [
            ("Bearer an-admins-secret", 200), ("bearer an-admins-secret", 200),
            ("BEARER an-admins-secret", 200), (nil, 401), ("", 401),
            ("Bearer", 401), ("Bearer ", 401), ("Bearer an-admins-secre", 401),
            ("Bearer an-admins-secrets", 401),
            ("Bearer An-admins-secret", 401),
            ("Basic an-admins-secret", 401), ("an-admins-secret", 401),
            ("Bearer  an-admins-secret", 401),
        ] as [(String?, Int)])
    func tokens(authorization: String?, status: Int) {
        for isLoopback in [true, false] {
            #expect(
                Self.status(
                    Self.endpoints(isLoopback: isLoopback, token: Self.token),
                    authorization: authorization) == status)
        }
        #expect(Self.status(Self.endpoints(), authorization: authorization) == 200)
    }

    @Test("serves metrics to every role, and tells this machine where its own token is")
    func scraping() {
        let tokens = try! AdminTokens(parsing: Array("p metrics 0123456789abcdef".utf8))
        let site = AdminEndpoints(
            isLoopback: true, tokens: tokens, tokenFile: "/a b/confab.db.admin-token",
            snapshot: { MetricsSnapshot() })
        #expect(Self.status(site, authorization: "Bearer 0123456789abcdef") == 200)
        let request = HTTPRequest(
            method: .get, path: "/metrics", host: "localhost",
            peer: SocketAddress(literal: "127.0.0.1", port: 1)!)
        do throws(HTTPError) {
            _ = try site.answer(request, body: [])
            Issue.record("no token was needed")
        } catch {
            #expect(
                error.fields.contains(
                    HTTPField("Confab-Token-File", "%2Fa%20b%2Fconfab.db.admin-token")))
        }
    }

    @Test("serves only /metrics")
    func paths() {
        #expect(Self.status(Self.endpoints(), path: "/") == 404)
        #expect(Self.status(Self.endpoints(), path: "/metrics/") == 404)
        #expect(Self.status(Self.endpoints(), method: .post) == 405)
        #expect(Self.status(Self.endpoints(), method: .head) == 200)
        #expect(
            Self.status(Self.endpoints(token: Self.token), path: "/nothing") == 401,
            "who may not ask learns nothing")
    }

    @Test("serves its page without a token, but not to other pages and hosts")
    func page() {
        let site = AdminEndpoints(
            isLoopback: true, tokens: try! AdminTokens(parsing: Self.token),
            page: { $0.path == "/" ? HTTPResponse(body: []) : nil },
            snapshot: { MetricsSnapshot() })
        #expect(Self.status(site, path: "/") == 200)
        #expect(Self.status(site, path: "/", host: "evil.example") == 403)
        #expect(Self.status(site, path: "/", origin: "http://evil.example") == 403)
        #expect(Self.status(site, method: .post, path: "/") == 401)
        #expect(Self.status(site, path: "/metrics") == 401)
    }

    // MARK: Over sockets

    private static func node(token: [UInt8]? = nil) throws -> TestNode {
        let board = MetricsBoardBox()
        let tokens = try token.map { bytes in try AdminTokens(parsing: bytes) }
        let node = try TestNode(loops: 2) { setup in
            setup.settings.adminHost = "127.0.0.1"
            setup.live.limits.allowEverything()
            setup.admin = AdminEndpoints(isLoopback: true, tokens: tokens) {
                var snapshot = board.value?.total() ?? MetricsSnapshot()
                ProcessStatistics()?.add(to: &snapshot)
                return snapshot
            }
        }
        board.value = node.board
        return node
    }

    /// Holds the metrics board of a node that is created after its admin endpoints.
    private final class MetricsBoardBox: @unchecked Sendable {
        // Unchecked because it is set before the first request.
        var value: PublishedMetrics?
    }

    @Test("serves metrics in Prometheus' format, only on its own listener")
    func metrics() throws {
        let node = try Self.node()
        try node.fill(20)
        let peer = try node.peer("bob", after: "0")
        try peer.send(bytes: [0x81, 1, 0x41])
        _ = try node.metrics("messages to be counted") {
            ($0.histogram(of: .storeSeconds)?.count ?? 0) > 0
                && $0.value(of: .connectionsClosed, labels: ["code": "1002"]) == 1
        }
        let port = try #require(node.gateway.adminAddress).port
        let reply = try HTTPReply.get("/metrics", port: port)
        #expect(reply.status == 200)
        #expect(reply.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        #expect(reply.fields["cache-control"] == "no-store")
        for line in [
            #"confab_messages_received_total{dialect="conversations"} 20"#,
            #"confab_connections_closed_total{code="1002"} 1"#,
            "# TYPE confab_store_write_seconds histogram",
            "# TYPE confab_loop_turn_seconds histogram",
        ] {
            #expect(reply.body.contains(line + "\n"), "\(line)")
        }
        #expect(try HTTPReply.get("/metrics", port: node.port).status == 404)
        #expect(try HTTPReply.get("/api/health", port: port).status == 404)
        #expect(
            try HTTPReply.get("/metrics", port: port, fields: ["Host": "evil.example"]).status
                == 403)
        #expect(
            try HTTPReply.get("/metrics", port: port, fields: ["Origin": "http://evil.example"])
                .status == 403)
        // Neither an upgrade nor a user's token is accepted here.
        #expect(try RawWebSocketClient.refusal(of: "/echo", port: port).status == 404)
        let closed = try Self.node(token: Self.token)
        let closedPort = try #require(closed.gateway.adminAddress).port
        let refused = try HTTPReply.get(
            "/metrics", port: closedPort,
            fields: ["Authorization": "Bearer \(TestNode.token("ann", isAdmin: true))"])
        #expect(refused.status == 401 && refused.fields["www-authenticate"] == "Bearer")
    }

    @Test("publishes metrics that promtool accepts", .programs)
    func promtool() throws {
        let node = try Self.node()
        try node.fill(5)
        _ = try node.metrics("writes to be counted") {
            ($0.histogram(of: .storeSeconds)?.count ?? 0) > 0
        }
        let page = try HTTPReply.get("/metrics", port: #require(node.gateway.adminAddress).port)
            .body
        let checked = try run(Checkout.program("promtool"), ["check", "metrics"], input: page)
        #expect(checked.exitStatus == .exited(0), "\(checked.output)\(checked.errors)")
    }
}
