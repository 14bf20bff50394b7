import Foundation
import TestKit
import TestTraits
import Testing

@Suite("The tokens of operators", .serialized, .ownThread, .programs)
struct OperatorTokenTests {
    /// A node with the default of the admin listener, and its token.
    private func node(_ options: [String] = []) throws -> (server: ConfabServer, token: String) {
        let server = try ConfabServer(options, store: .sqlite, operatorsNeedToken: true)
        let token = try server.folder.read("confab.db.admin-token")
        return (server, token.trimmingCharacters(in: .newlines))
    }

    private func status(_ path: String, at port: UInt16, _ token: String? = nil) throws -> Int {
        try HTTPReply.get(
            path, port: port, fields: token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
        ).status
    }

    @Test("are created with the database, and found by the command line on the same machine")
    func created() throws {
        let (server, token) = try self.node()
        let file = server.folder.file("confab.db.admin-token")
        let attributes = try FileManager.default.attributesOfItem(atPath: file)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(token.utf8.count == 64)
        for path in ["/metrics", "/api/cluster/nodes"] {
            #expect(try self.status(path, at: server.adminPort) == 401)
            #expect(try self.status(path, at: server.adminPort, token) == 200)
        }
        try server.connect("alice").post("Hello")
        // In another folder, with nothing but the address.
        #expect(try confab("nodes", at: server.adminPort).status == 0)
        let history = try confab("history", "lobby", at: server.adminPort)
        #expect(history.status == 0 && history.output.contains("Hello"), "\(history)")
        let sent = try confab("send", "lobby", "Hi", "--as", "ops", "--yes", at: server.adminPort)
        #expect(sent.status == 0, "\(sent)")

        // The next start uses the same token. A file that this user cannot read is named.
        try server.stop()
        let next = try ConfabServer(
            store: .sqlite, operatorsNeedToken: true, in: server.folder)
        #expect(try self.status("/metrics", at: next.adminPort, token) == 200)
        try FileManager.default.removeItem(atPath: file)
        let refused = try confab("nodes", at: next.adminPort)
        #expect(refused.status == 1 && refused.errors.contains(file), "\(refused)")
    }

    @Test("are needed by no node that was started with --admin-token off, and doctor warns")
    func off() throws {
        let server = try ConfabServer(store: .sqlite)
        #expect(!server.folder.hasFile("confab.db.admin-token"))
        #expect(try self.status("/metrics", at: server.adminPort) == 200)
        let checks = try confab("doctor", "--output", "json", at: server.adminPort).rows("checks")
        let listener = try #require(checks.first { $0["check"] == "admin-listener" })
        #expect(listener["result"] == "warning")
    }

    @Test("have roles, and each reading of content and each change is an event with the name")
    func roles() throws {
        let folder = try TemporaryFolder()
        let roles = ["metrics", "view", "read", "operate"]
        let tokens = roles.map { "\($0)-0123456789abcdef" }
        let lines = zip(roles, tokens).map { "of-\($0) \($0) \($1)\n" }
        let file = try folder.write(lines.joined(), to: "admin.tokens")
        let server = try ConfabServer(
            ["--admin-token-file", file], store: .sqlite, in: folder)
        try server.connect("alice").post("a secret text")
        for (path, least) in [
            ("/metrics", 0), ("/api/cluster/status", 1), ("/api/cluster/events", 1),
            ("/api/cluster/conversations", 1), ("/api/cluster/conversation?conversation=lobby", 1),
            ("/api/cluster/history?conversation=lobby", 2), ("/api/cluster/user?user=alice", 2),
            ("/api/cluster/trace?conversation=lobby&message=1", 2), ("/api/cluster/support", 2),
        ] {
            for (level, token) in tokens.enumerated() {
                let reply = try HTTPReply.get(
                    path, port: server.adminPort, fields: ["Authorization": "Bearer \(token)"])
                #expect(reply.status == (level >= least ? 200 : 403), "\(path), \(token)")
                if level < 2 { #expect(!reply.body.contains("a secret text"), "\(path)") }
            }
        }
        func run(_ arguments: String..., as role: Int) throws -> CommandResult {
            let token = try folder.write(tokens[role], to: "one.token")
            return try confab(
                arguments, at: server.adminPort, environment: ["CONFAB_ADMIN_TOKEN_FILE": token])
        }
        let refused = try run("history", "lobby", as: 1)
        #expect(
            refused.errors
                == "confab: The token of-view has the role view; history needs read.")
        #expect(try run("send", "lobby", "x", "--as", "ops", "--yes", as: 2).status == 1)
        #expect(try run("send", "lobby", "x", "--as", "ops", "--yes", as: 3).status == 0)
        let events = try run("events", "--output", "json", "--last", "100", as: 1).rows("events")
        for (verb, detail) in [
            ("history", "conversation lobby, tenant default"),
            ("user", "user alice, tenant default"),
            ("trace", "message 1, conversation lobby, tenant default"), ("support", "all nodes"),
        ] {
            let readers = events.filter { $0["event"] == verb }
            #expect(readers.map { $0["operator"] } == ["of-read", "of-operate"], "\(verb)")
            #expect(readers.allSatisfy { $0["detail"] == detail }, "\(verb): \(readers)")
        }
        #expect(events.filter { $0["event"] == "send" }.map { $0["operator"] } == ["of-operate"])
    }

    @Test("that are short, and secrets that everybody can read, are warnings")
    func warnings() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("ops operate short\n", to: "admin.tokens")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        let server = try ConfabServer(["--admin-token-file", file], in: folder)
        let log = server.process.errors.lines
        #expect(log.contains { $0.contains("warning") && $0.contains("admin.tokens") }, "\(log)")
        #expect(log.contains { $0.contains("ops") && $0.contains("fewer than 16") }, "\(log)")
        let token = try folder.write("short", to: "one.token")
        let checks = try confab(
            "doctor", "--output", "json", at: server.adminPort,
            environment: ["CONFAB_ADMIN_TOKEN_FILE": token]
        ).rows("checks")
        let finding = try #require(checks.first { $0["check"] == "secrets" })
        #expect(finding["result"] == "warning")
        #expect(finding["finding"]?.contains("admin.tokens") == true)
        let checked = try TestKit.run(
            Checkout.confab,
            [
                "config", "check", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                "--store", "memory:", "--jwt-secret-file", folder.file("jwt.secret"),
                "--admin-token-file", file,
            ])
        #expect(checked.exitStatus == .exited(0))
        #expect(checked.errors.contains("chmod o= ") && checked.errors.contains("fewer than 16"))
    }

    @Test("CSV and JSON on a terminal escape what other users have written")
    func terminal() throws {
        let (server, _) = try self.node()
        try server.connect("alice").post("a\u{1B}[2Jb\u{9B}c\u{202E}d")
        for output in ["csv", "json", "table"] {
            let terminal = try PseudoTerminal(
                [
                    Checkout.confab, "history", "lobby", "--output", output, "--admin",
                    "http://127.0.0.1:\(server.adminPort)",
                ], columns: 300, rows: 40, environment: ["TERM": "xterm", "LANG": "C.UTF-8"])
            defer { terminal.close() }
            let text = try terminal.awaitRow(with: "202e").joined(separator: "\n")
            let escape = output == "table" ? "a\\u{1b}[2Jb\\u{9b}c" : "a\\u001b[2Jb\\u009bc"
            #expect(text.contains(escape), "\(output): \(text)")
            #expect(text.contains("202e"), "\(output): \(text)")
        }
        // A pipe gets the text as it is.
        let piped = try confab("history", "lobby", "--output", "csv", at: server.adminPort)
        #expect(piped.output.contains("a\u{1B}[2Jb\u{9B}c\u{202E}d"))
    }
}
