import Glibc
import TestKit
import TestTraits
import Testing

@Suite("Authentication", .programs, .ownThread)
struct IdentityTests {
    private func code(_ event: RawWebSocketClient.Event) -> UInt16? {
        if case .close(let code, _) = event { code } else { nil }
    }

    @Test(
        "accepts a token in the URL or the Authorization field, for the same user in both", .long
    )
    func tokenLocations() throws {
        let server = try ConfabServer()
        let alice = try ConfabServer.token(for: "alice")
        let bob = try ConfabServer.token(for: "bob")
        let field = ["Authorization": "Bearer \(alice)"]

        try ConversationClient(
            RawWebSocketClient("/conversations/1", port: server.port, fields: field)
        ).post("by field")
        try ConversationClient(
            RawWebSocketClient("/conversations/1/?token=\(alice)", port: server.port, fields: field)
        ).post("by both")
        let two = ConversationClient(
            try RawWebSocketClient(
                "/conversations/1/?token=\(bob)", port: server.port, fields: field))
        #expect(try self.code(two.closeEvent()) == 4003)
        let broken = ConversationClient(
            try RawWebSocketClient("/conversations/1/?token=\(alice)x", port: server.port))
        #expect(try self.code(broken.closeEvent()) == 4003)
    }

    @Test("rejects a page of a foreign origin before the upgrade", .long)
    func origins() throws {
        let server = try ConfabServer(["--origins", "own,https://chat.example"])
        let path = server.path(to: "1", token: try ConfabServer.token(for: "alice"))
        func connect(from origin: String) throws -> RawWebSocketClient {
            try RawWebSocketClient(path, port: server.port, fields: ["Origin": origin])
        }
        _ = try connect(from: "https://chat.example")
        _ = try connect(from: "http://127.0.0.1:\(server.port)")
        for foreign in [
            "https://evil.example", "http://chat.example", "https://chat.example.evil.example",
            "null", "http://127.0.0.1:1",
        ] {
            let refusal = try RawWebSocketClient.refusal(
                of: path, port: server.port, fields: ["Origin": foreign])
            #expect(refusal.status == 403)
            #expect(try JSONObject(refusal.body)["error"]?.isEmpty == false)
        }
    }

    @Test("separates the conversations of two tenants", .long)
    func tenants() throws {
        let server = try ConfabServer()
        let here = try server.connect(token: ConfabServer.token(for: "alice", tenant: "here"))
        let there = try server.connect(token: ConfabServer.token(for: "alice", tenant: "there"))
        try here.synchronize()
        try there.synchronize()
        #expect(try here.post("hello", as: "a1")["id"] == "1")
        #expect(try there.post("other", as: "a1")["content"] == "other")
        #expect(try there.wholeHistory().count == 1)
    }

    @Test("closes an expired connection with 4003 unless it sends a new token", .long)
    func expiry() throws {
        let server = try ConfabServer()
        let expiringClient = try server.connect(
            token: ConfabServer.token(for: "alice", validFor: 5))
        let renewingClient = try server.connect(token: ConfabServer.token(for: "bob", validFor: 5))
        let newToken = try ConfabServer.token(for: "bob", validFor: 60)
        try renewingClient.send(#"{"action":"authenticate","token":"\#(newToken)"}"#)
        _ = try renewingClient.next("authenticated")

        #expect(try expiringClient.next("error")["error"] == "token expired")
        #expect(try self.code(expiringClient.closeEvent()) == 4003)
        try renewingClient.post("still here")
    }

    @Test("rejects tokens for another audience or of another issuer", .long)
    func audience() throws {
        let server = try ConfabServer(["--jwt-audience", "chat", "--jwt-issuer", "here"])
        func token(_ options: String...) throws -> String {
            let arguments = [
                "token", "--sub", "alice", "--conversations", "*", "--secret-file",
                server.folder.file("jwt.secret"),
            ]
            return try run(Checkout.confab, arguments + options).output
        }
        try server.connect(token: token("--audience", "chat", "--issuer", "here")).post("hello")
        for options in [
            ["--audience", "mail", "--issuer", "here"],
            ["--audience", "chat", "--issuer", "there"],
        ] {
            let unaccepted = try token(options[0], options[1], options[2], options[3])
            #expect(try self.code(server.connect(token: unaccepted).closeEvent()) == 4003)
        }
        #expect(try self.code(server.connect(token: token()).closeEvent()) == 4003)
    }

    @Test(
        "ignores the newline at the end of a cluster key file", .long
    )
    func clusterKeyNewline() throws {
        let folder = try TemporaryFolder()
        let key = "a cluster key of the tests, which is long enough"
        let token = try ConfabServer.token(for: "ann", conversations: ["lobby"])
        func connect(_ server: ConfabServer, _ auth: String) throws -> (
            socket: RawWebSocketClient, answer: JSONObject
        ) {
            let socket = try RawWebSocketClient(
                "/socket.io/?EIO=4&transport=websocket", port: server.port)
            try socket.send("40\(auth)")
            return (socket, try JSONObject(String(self.frame("40", of: socket).dropFirst(2))))
        }
        let first = try ConfabServer(
            ["--cluster-key-file", folder.write(key + "\n", to: "first.key")], store: .sqlite,
            in: folder)
        let (socket, connectAnswer) = try connect(first, #"{"token":"\#(token)"}"#)
        try socket.send(#"42["join_room",{"room_id":"lobby"}]"#)
        _ = try self.frame(#"42["offset","lobby="#, of: socket)
        try first.stop()

        let second = try ConfabServer(
            ["--cluster-key-file", folder.write(key, to: "second.key")], store: .sqlite, in: folder)
        let pid = try #require(connectAnswer["pid"])
        let (_, secondAnswer) = try connect(
            second, #"{"token":"\#(token)","pid":"\#(pid)","offset":"lobby=0"}"#)
        #expect(secondAnswer["pid"] == pid)
        #expect(secondAnswer["sid"] == connectAnswer["sid"])
    }

    /// The next frame with this prefix; other frames are skipped.
    private func frame(_ beginning: String, of socket: RawWebSocketClient) throws -> String {
        let deadline = Deadline()
        while true {
            guard case .text(let text) = try socket.next(within: deadline.remaining) else {
                throw TestFailure("no frame \(beginning)")
            }
            if text.hasPrefix(beginning) { return text }
        }
    }

    /// A token signed with RS256 by OpenSSL.
    private func rsaToken(key: String, in folder: TemporaryFolder) throws -> String {
        let script = """
            b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
            head=$(printf '{"alg":"RS256","typ":"JWT"}' | b64)
            expiry=$(($(date +%s) + 600))
            claims=$(printf '{"sub":"alice","conversations":"*","exp":%s}' $expiry | b64)
            signature=$(printf '%s.%s' "$head" "$claims" |
                openssl dgst -sha256 -sign "$0" -binary | b64)
            printf '%s.%s.%s' "$head" "$claims" "$signature"
            """
        let result = try run("/bin/sh", ["-c", script, key], folder: folder.path)
        #expect(result.exitStatus == .exited(0), "\(result.errors)")
        return result.output
    }

    private func makeKey(_ name: String, in folder: TemporaryFolder) throws {
        let script =
            "openssl genrsa -out \(name).key 2048 && openssl rsa -in \(name).key "
            + "-pubout -out \(name).pem"
        #expect(try run("/bin/sh", ["-c", script], folder: folder.path).exitStatus == .exited(0))
    }

    @Test(
        "accepts RS256 tokens of the key in a PEM file, and reloads it on SIGHUP"
    )
    func publicKey() throws {
        let folder = try TemporaryFolder()
        try self.makeKey("first", in: folder)
        try self.makeKey("second", in: folder)
        let first = try self.rsaToken(key: "first.key", in: folder)
        let second = try self.rsaToken(key: "second.key", in: folder)
        try folder.write(folder.read("first.pem"), to: "jwt.pem")
        let server = try ConfabServer(
            ["--jwt-public-key-file", folder.file("jwt.pem")], in: folder)
        try server.connect(token: first).post("hello")
        #expect(try self.code(server.connect(token: second).closeEvent()) == 4003)

        try folder.write(folder.read("second.pem"), to: "jwt.pem")
        server.process.send(SIGHUP)
        try server.process.errors.line(with: "reloaded")

        try server.connect(token: second).post("hello")
        #expect(try self.code(server.connect(token: first).closeEvent()) == 4003)
    }

    private static let keySetSecrets = [
        "the first key of the key set, long enough", "the second key of the key set, long enough",
    ]

    /// Writes a key set with one of the secrets.
    private func publishKeySet(_ number: Int, in folder: TemporaryFolder) throws {
        let encoded = try run(
            "/bin/sh",
            [
                "-c", "printf %s \"$0\" | openssl base64 -A | tr '+/' '-_' | tr -d '='",
                Self.keySetSecrets[number],
            ]
        ).output
        try folder.write(
            #"{"keys":[{"kty":"oct","alg":"HS256","k":"\#(encoded)"}]}"#, to: "keys.json")
    }

    @Test("reloads a key set when its file changes")
    func keySet() throws {
        let folder = try TemporaryFolder()
        let token = try ConfabServer.token(for: "alice", secret: Self.keySetSecrets[1])
        try self.publishKeySet(0, in: folder)
        let server = try ConfabServer(["--jwks-file", folder.file("keys.json")], in: folder)
        #expect(try self.code(server.connect(token: token).closeEvent()) == 4003)

        try self.publishKeySet(1, in: folder)
        try server.process.errors.line(with: "reloaded")

        try server.connect(token: token).post("hello")
    }

    @Test("reloads a key set that changed while the node waited for Redis", .long)
    func keySetDuringStart() throws {
        let redis = try RedisServer()
        try redis.crash()
        let folder = try TemporaryFolder()
        try self.publishKeySet(0, in: folder)
        let port = try freePort()
        let node = try ChildProcess(
            Checkout.confab,
            [
                "serve", "--listen", "127.0.0.1:\(port)", "--admin", "127.0.0.1:0", "--admin-token",
                "off", "--store",
                redis.url, "--jwks-file", folder.file("keys.json"), "--cluster-key-file",
                try folder.write(ConfabServer.secret, to: "cluster.key"),
            ], folder: folder.path)
        defer { node.kill() }
        try node.errors.line(with: "waiting for redis")

        try self.publishKeySet(1, in: folder)
        try redis.restart()
        try node.errors.line(with: "reloaded")

        let token = try ConfabServer.token(for: "alice", secret: Self.keySetSecrets[1])
        let client = ConversationClient(
            try RawWebSocketClient("/conversations/lobby/?token=\(token)", port: port))
        try client.post("hello")
    }
}
