import Foundation

/// Certificates made for one test, in a folder that is gone afterwards.
///
/// `authority` signs `server`, for localhost, *.example.test and 127.0.0.1.
final class Certificates {
    struct Failure: Error {
        let command: String
    }

    let folder: String

    init() throws {
        self.folder = FileManager.default.temporaryDirectory.appending(path: "tls-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: false)
        try self.makeAuthority("authority")
        try self.makeServer("server")
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.folder)
    }

    func path(_ name: String) -> String { self.folder + "/" + name }
    var authority: String { self.path("authority.pem") }
    var certificate: String { self.path("server.pem") }
    var key: String { self.path("server.key") }

    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]

    func makeAuthority(_ name: String) throws {
        try self.openssl(
            ["req", "-x509"] + Self.newKey + ["-keyout", "\(name).key", "-out", "\(name).pem", "-days", "2", "-subj", "/CN=\(name)"])
    }

    /// With `days` below zero: one that has ended.
    func makeServer(_ name: String, by authority: String = "authority", days: Int = 2) throws {
        let names = "subjectAltName=DNS:localhost,DNS:*.example.test,IP:127.0.0.1"
        try self.openssl(
            ["req"] + Self.newKey + ["-keyout", "\(name).key", "-out", "\(name).csr", "-subj", "/CN=\(name)", "-addext", names])
        try self.openssl([
            "x509", "-req", "-in", "\(name).csr", "-CA", "\(authority).pem", "-CAkey", "\(authority).key", "-CAcreateserial", "-days",
            "\(days)",
            "-copy_extensions", "copy", "-out", "\(name).pem",
        ])
    }

    func openssl(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = URL(filePath: self.folder)
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(command: arguments.joined(separator: " ")) }
    }
}
