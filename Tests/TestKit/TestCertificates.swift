/// Certificates for one test, in a temporary folder.
///
/// `authority` signs `server`, which is valid for localhost, *.example.test and 127.0.0.1.
public final class TestCertificates {
    private let temporaryFolder: TemporaryFolder

    public init() throws {
        self.temporaryFolder = try TemporaryFolder()
        try self.makeAuthority("authority")
        try self.makeServer("server")
    }

    public var folder: String { self.temporaryFolder.path }

    public func path(_ name: String) -> String { self.temporaryFolder.file(name) }
    public var authority: String { self.path("authority.pem") }
    public var certificate: String { self.path("server.pem") }
    public var key: String { self.path("server.key") }

    /// The settings, by name and value, with which a Redis server or sentinel uses TLS with
    /// `server`.
    var redisOptions: [(name: String, value: String)] {
        [
            ("tls-cert-file", self.certificate), ("tls-key-file", self.key),
            ("tls-ca-cert-file", self.authority),
            ("tls-auth-clients", "no"),
        ]
    }

    /// The TLS options of redis-cli.
    var clientOptions: [String] { ["--tls", "--cacert", self.authority] }

    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]

    public func makeAuthority(_ name: String) throws {
        try self.openssl(
            ["req", "-x509"] + Self.newKey + [
                "-keyout", "\(name).key", "-out", "\(name).pem", "-days", "2", "-subj",
                "/CN=\(name)",
            ])
    }

    /// Creates a server certificate. With negative `days`, it has expired.
    public func makeServer(_ name: String, by authority: String = "authority", days: Int = 2) throws
    {
        let names = "subjectAltName=DNS:localhost,DNS:*.example.test,IP:127.0.0.1"
        try self.openssl(
            ["req"] + Self.newKey + [
                "-keyout", "\(name).key", "-out", "\(name).csr", "-subj", "/CN=\(name)", "-addext",
                names,
            ])
        try self.openssl([
            "x509", "-req", "-in", "\(name).csr", "-CA", "\(authority).pem", "-CAkey",
            "\(authority).key", "-CAcreateserial", "-days",
            "\(days)",
            "-copy_extensions", "copy", "-out", "\(name).pem",
        ])
    }

    public func openssl(_ arguments: [String]) throws {
        let result = try run(Checkout.program("openssl"), arguments, folder: self.folder)
        guard result.exitStatus == .exited(0) else {
            throw TestFailure("openssl \(arguments.joined(separator: " ")): \(result.errors)")
        }
    }
}
