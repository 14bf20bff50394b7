import Foundation
import TestKit
import TestTraits
import Testing

/// The lines that `confab serve` prints on a terminal when it is ready.
@Suite("The next steps of confab serve", .programs, .ownThread)
struct NextStepsTests {
    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    private func serve(_ options: [String]) throws -> PseudoTerminal {
        try PseudoTerminal(
            [Checkout.confab, "serve"] + options, columns: 300, rows: 40,
            environment: ["TERM": "xterm-256color", "LANG": "C.UTF-8"])
    }

    /// The text of a step, such as `Token`.
    private func step(_ name: String, _ rows: [String]) throws -> String {
        let row = try #require(rows.first { $0.hasPrefix("  \(name) ") }, "\(name): \(rows)")
        return row.dropFirst(name.count + 2).trimmingCharacters(in: .whitespaces)
    }

    private func port(in step: String) throws -> UInt16 {
        let match = try #require(step.firstMatch(of: /:([0-9]+)\//), "\(step)")
        return try #require(UInt16(match.1))
    }

    @Test("work as printed: the chat, the token, the operators' page and Ctrl-C")
    func steps() throws {
        let database = self.folder.file("Alice's chat.db")
        let server = try self.serve([
            "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--store", "sqlite:\(database)",
        ])
        defer { server.close() }
        let rows = try server.awaitRow(with: "  Stop ")
        let ready = try #require(rows.firstIndex { $0.hasPrefix("confab ready on http://") })
        let chat = try self.step("Chat", rows)
        #expect(try #require(rows.firstIndex { $0.contains(chat) }) > ready)
        #expect(chat.hasPrefix("open http://127.0.0.1:") && chat.hasSuffix("/ in a browser"))
        let port = try self.port(in: chat)
        #expect(try HTTPReply.get("/conversations", port: port).status == 200)

        let command = try self.step("Token", rows)
        let token = try run("/bin/sh", ["-c", command], folder: self.folder.path)
        #expect(token.exitStatus == .exited(0), "\(command): \(token.errors)")
        let client = ConversationClient(
            try RawWebSocketClient(
                "/conversations/lobby/?token=\(token.output)", port: port))
        try client.post("Hello")

        let operators = try self.step("Operators", rows)
        #expect(try HTTPReply.get("/", port: self.port(in: operators)).status == 200)
        let file = "\(database).admin-token"
        #expect(operators.hasSuffix(", with a token of \(file)"), "\(operators)")
        let adminToken = try String(contentsOfFile: file, encoding: .utf8)
        let nodes = try HTTPReply.get(
            "/api/cluster/nodes", port: self.port(in: operators),
            fields: ["Authorization": "Bearer \(adminToken.trimmingCharacters(in: .newlines))"])
        #expect(nodes.status == 200)
        server.type("\u{03}")
        #expect(try server.waitForExit() == 0)
    }

    @Test("name a link with a token for users without anonymous access, and the signing key", .long)
    func foreignKey() throws {
        // The public key of RFC 8410, 10.1.
        let key = try self.folder.write(
            """
            -----BEGIN PUBLIC KEY-----
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
            -----END PUBLIC KEY-----

            """, to: "key.pem")
        let server = try self.serve([
            "--listen", "0.0.0.0:0", "--admin", "off", "--store", "memory:",
            "--jwt-public-key-file", key,
        ])
        defer { server.close() }
        let rows = try server.awaitRow(with: "  Stop ")
        let chat = try self.step("Chat", rows)
        #expect(chat.hasPrefix("open http://localhost:"), "\(chat)")
        #expect(chat.hasSuffix("/conversation/lobby#token=TOKEN in a browser"), "\(chat)")
        #expect(try self.step("Token", rows) == "signed with the private key of \(key)")
        #expect(!rows.contains { $0.contains("Operators") })
    }

    @Test("use the settings for tokens, the public URL and the operators' tokens")
    func settings() throws {
        let secret = try self.folder.write(ConfabServer.secret, to: "jwt.secret")
        let tokens = try self.folder.write(
            "ops operate 0123456789abcdef0123456789abcdef", to: "admin.tokens")
        let server = try self.serve([
            "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--store", "memory:",
            "--jwt-secret-file", secret, "--jwt-audience", "chat app", "--jwt-issuer", "me",
            "--public-url", "https://chat.example", "--admin-token-file", tokens,
        ])
        defer { server.close() }
        let rows = try server.awaitRow(with: "  Stop ")
        #expect(try self.step("Chat", rows) == "open https://chat.example/ in a browser")
        #expect(try self.step("Operators", rows).hasSuffix(", with a token of \(tokens)"))
        #expect(
            try self.step("Token", rows)
                == "\(Checkout.confab) token --sub alice --conversations lobby --secret-file "
                + "\(secret) --audience 'chat app' --issuer me")
    }

    @Test("are printed neither into a pipe nor into a log of JSON", .long)
    func logs() throws {
        let piped = try ConfabServer()
        #expect(try piped.stop() == .exited(0))
        #expect(piped.process.errors.lines.contains { $0.hasPrefix("confab ready on ") })
        #expect(!piped.process.errors.lines.contains { $0.contains("Ctrl-C") })

        let json = try self.serve([
            "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json",
            "--store", "sqlite:\(self.folder.file("json.db"))",
        ])
        defer { json.close() }
        try json.awaitRow(with: "admin listening")
        json.type("\u{03}")
        #expect(try json.waitForExit() == 0)
        let rows = json.rows.joined(separator: "\n")
        #expect(rows.contains("node stopped") && !rows.contains("Ctrl-C"), "\(rows)")
    }
}
