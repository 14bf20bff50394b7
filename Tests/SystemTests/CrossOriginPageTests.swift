import Foundation
import TestKit
import TestTraits
import Testing

/// A page of another origin in a real browser, which sends CORS preflight requests.
@Suite("A page of another origin", .programs, .ownThread)
struct CrossOriginPageTests {
    /// Connects with the stock client from a page of `site`, and returns the outcome.
    private func connect(_ server: ConfabServer, from site: StaticFileServer, _ options: String)
        throws -> String
    {
        let browser = try Browser()
        let tab = try browser.open("\(site.origin)/")
        try tab.evaluate(
            String(contentsOfFile: Checkout.tool("socket.io-", ".min.js"), encoding: .utf8)
                + "; undefined")
        let token = try ConfabServer.token(for: "ann", conversations: ["r"])
        return try tab.runFunctionBody(
            """
            return await new Promise((done) => {
                const socket = io("http://127.0.0.1:\(server.port)",
                    {auth: {token: \(jsonString(token))}, reconnection: false, \(options)});
                socket.on("connect", () => done("connected " + socket.io.engine.transport.name));
                socket.on("connect_error", (error) => done("refused"));
            });
            """)
    }

    private static let headers =
        #"transports: ["polling"], extraHeaders: {"X-Tea": "green", traceparent: "00-1-2-01"}"#

    @Test("connects with custom headers and credentials if the operator lists them")
    func stockClient() throws {
        let site = try StaticFileServer()
        let server = try ConfabServer([
            "--origins", site.origin, "--cors-headers", "traceparent,X-Tea",
        ])
        #expect(try self.connect(server, from: site, Self.headers) == "connected polling")
        #expect(
            try self.connect(server, from: site, Self.headers + ", withCredentials: true")
                == "connected polling")
        #expect(
            try self.connect(
                server, from: site, #"withCredentials: true, transports: ["websocket"]"#)
                == "connected websocket")
        let closed = try ConfabServer(["--origins", site.origin])
        #expect(try self.connect(closed, from: site, Self.headers) == "refused")
        #expect(
            try self.connect(closed, from: site, #"transports: ["polling"], withCredentials: true"#)
                == "connected polling")
        let open = try ConfabServer(["--origins", "*"])
        #expect(
            try self.connect(open, from: site, #"transports: ["polling"]"#) == "connected polling")
        #expect(
            try self.connect(open, from: site, #"transports: ["polling"], withCredentials: true"#)
                == "refused")
    }

    @Test("sends, edits and deletes a message over REST if the operator lists it", .long)
    func requests() throws {
        let site = try StaticFileServer()
        let token = try ConfabServer.token(for: "ann", conversations: ["tea"])
        func statuses(_ server: ConfabServer) throws -> String {
            try Browser().open("\(site.origin)/").runFunctionBody(
                """
                const root = "http://127.0.0.1:\(server.port)/api/conversations/tea/messages";
                const headers = {Authorization: "Bearer \(token)",
                    "Content-Type": "application/json"};
                const body = JSON.stringify({content: "Hi"});
                const statuses = [];
                for (const [method, path] of
                    [["POST", ""], ["PATCH", "/1"], ["DELETE", "/1"], ["GET", ""]]) {
                    const request = {method, headers};
                    if (method === "POST" || method === "PATCH") request.body = body;
                    statuses.push(await fetch(root + path, request)
                        .then((reply) => reply.status, () => "refused"));
                }
                return statuses.join(" ");
                """)
        }
        #expect(
            try statuses(ConfabServer(["--origins", site.origin])) == "201 200 200 200")
        #expect(
            try statuses(ConfabServer(["--origins", "own"])) == "refused refused refused refused")
    }

    @Test(
        "connects from a listed origin", .long,
        arguments: [
            "capacitor://localhost", "chrome-extension://abcdefghijklmnop", "file://", "null",
            "https://chat.example.org",
        ])
    func allowedOrigin(origin: String) throws {
        let entry = origin.hasSuffix(".example.org") ? "https://*.example.org" : origin
        let server = try ConfabServer(["--origins", entry, "--anonymous", "on"])
        let token = try ConfabServer.token(for: "ann")
        let paths = [
            "/ws/", "/ws/chats/", "/socket.io/?EIO=4&transport=websocket", "/v1/ws?token=\(token)",
            server.path(to: "r", token: token),
        ]
        for path in paths {
            _ = try RawWebSocketClient(path, port: server.port, fields: ["Origin": origin])
            // The server's own origin is always allowed.
            _ = try RawWebSocketClient(
                path, port: server.port, fields: ["Origin": "http://127.0.0.1:\(server.port)"])
            for foreign in [
                "http://localhost:3000", "https://example.org", "https://evil-example.org",
                "\(origin).evil.test",
            ] {
                let reply = try RawWebSocketClient.refusal(
                    of: path, port: server.port, fields: ["Origin": foreign])
                #expect(reply.status == 403, "\(path) \(foreign)")
            }
        }
        let listing = try HTTPReply.get(
            "/api/conversations", port: server.port, fields: ["Origin": origin])
        #expect(listing.status == 200 && listing.fields["access-control-allow-origin"] == origin)
    }
}
