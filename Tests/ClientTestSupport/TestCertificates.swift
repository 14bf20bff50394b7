import Foundation

/// An authority, and a certificate for localhost and 127.0.0.1 that it has signed, in a folder that is gone afterwards.
public final class TestCertificates {
    public struct Failure: Error {
        public let command: String
    }

    private let folder: String

    public init() throws {
        self.folder = FileManager.default.temporaryDirectory.appending(path: "client-tls-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: false)
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
        try self.openssl(["req", "-x509"] + key + ["-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority"])
        let names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        try self.openssl(["req"] + key + ["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server", "-addext", names])
        try self.openssl([
            "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-copy_extensions",
            "copy", "-out", "server.pem",
        ])
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.folder)
    }

    public var authority: String { self.folder + "/ca.pem" }
    public var certificate: String { self.folder + "/server.pem" }
    public var key: String { self.folder + "/server.key" }

    private func openssl(_ arguments: [String]) throws {
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
