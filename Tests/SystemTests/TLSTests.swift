import Glibc
import TestKit
import TestTraits
import Testing

@Suite("TLS", .programs, .ownThread)
struct TLSTests {
    private func makeCertificate(_ name: String, in folder: TemporaryFolder) throws {
        let arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=\(name)",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem",
        ]
        #expect(
            try run(Checkout.program("openssl"), arguments, folder: folder.path).exitStatus
                == .exited(0))
    }

    /// The common name of the server's certificate.
    private func certificateName(at port: UInt16) throws -> String {
        let script =
            "openssl s_client -connect 127.0.0.1:\(port) </dev/null 2>/dev/null | "
            + "openssl x509 -noout -subject"
        return try run("/bin/sh", ["-c", script]).output
    }

    @Test(
        "works with a custom certificate, and SIGHUP reloads it without disconnecting clients"
    )
    func certificate() throws {
        let folder = try TemporaryFolder()
        try self.makeCertificate("first", in: folder)
        let server = try ConfabServer(
            ["--tls-cert", "cert.pem", "--tls-key", "key.pem"], in: folder)
        #expect(
            try server.process.errors.line(with: "confab ready").contains(
                "https://127.0.0.1:\(server.port)"))
        func connect(_ user: String) throws -> PythonClient {
            let path = try server.path(to: "lobby", token: ConfabServer.token(for: user))
            return try PythonClient(
                "wss://127.0.0.1:\(server.port)\(path)", authority: folder.file("cert.pem"))
        }
        let alice = try connect("alice")
        #expect(try self.certificateName(at: server.port).contains("first"))

        try self.makeCertificate("second", in: folder)
        server.process.send(SIGHUP)
        try server.process.errors.line(with: "reloaded")
        // Each loop takes it at its next turn.
        try Deadline.wait(
            for: "the second certificate",
            untilTrue: { try self.certificateName(at: server.port).contains("second") })
        let bob = try Deadline.wait(for: "bob with the second certificate") { try? connect("bob") }
        // Longer than a TLS record, and than one read.
        let content = String(repeating: "long ", count: 3000)
        try alice.send(#"{"action":"send_message","content":"\#(content)"}"#)
        try alice.expectMessage(content)
        try bob.send(#"{"action":"send_message","content":"short"}"#)
        try bob.expectMessage("short")
        try alice.expectMessage("short")
    }

    @Test("tells browsers to use nothing else, and to guess no type of content")
    func headers() throws {
        let folder = try TemporaryFolder()
        try self.makeCertificate("only", in: folder)
        let server = try ConfabServer(
            ["--tls-cert", "cert.pem", "--tls-key", "key.pem"], in: folder)
        for path in ["/api/live", "/api/nothing", "/conversations"] {
            let request = "GET \(path) HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n"
            let script =
                "printf '\(request)' | openssl s_client -quiet -connect "
                + "127.0.0.1:\(server.port) 2>/dev/null"
            let reply = try run("/bin/sh", ["-c", script]).output
            #expect(
                reply.contains("Strict-Transport-Security: max-age=31536000\r\n"), "\(reply)")
            #expect(reply.contains("X-Content-Type-Options: nosniff\r\n"), "\(reply)")
        }
        // The admin listener has no TLS.
        let metrics = try HTTPReply.get("/metrics", port: server.adminPort)
        #expect(metrics.fields["x-content-type-options"] == "nosniff")
        #expect(metrics.fields["strict-transport-security"] == nil)
    }

    @Test("closes connections with plain HTTP or without a handshake", .long)
    func plainText() throws {
        let folder = try TemporaryFolder()
        try self.makeCertificate("only", in: folder)
        let server = try ConfabServer(
            ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--limit", "header-seconds=1"],
            in: folder)
        let plain = try ByteStream(port: server.port)
        try plain.send("GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(plain.readToEnd())
        let silentStream = try ByteStream(port: server.port)
        #expect(silentStream.readToEnd())
        // A handshake may need more than the second that it has.
        try Deadline.wait(
            for: "the certificate",
            untilTrue: { try self.certificateName(at: server.port).contains("only") })
    }

    @Test("reports a certificate without its key, and exits with 2", .long)
    func foreignKey() throws {
        let folder = try TemporaryFolder()
        try self.makeCertificate("first", in: folder)
        try folder.write(folder.read("cert.pem"), to: "other.pem")
        try self.makeCertificate("second", in: folder)
        let arguments = [
            "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--store", "memory:",
            "--tls-cert", "other.pem", "--tls-key", "key.pem",
        ]
        let result = try run(Checkout.confab, arguments, folder: folder.path)
        #expect(result.exitStatus == .exited(2))
        #expect(
            result.errors.contains("key.pem") || result.errors.contains("other.pem"),
            "\(result.errors)")
    }
}

extension StockClient {
    /// Waits for a message with this content.
    func expectMessage(_ content: String) throws {
        while try self.next("chat_message").object("message")?["content"] != content {}
    }
}
