import Foundation

/// A running `redis-server` on a free port of 127.0.0.1, with its data in its own folder.
public final class RedisServer {
    public let folder: TemporaryFolder
    public let port: UInt16
    public private(set) var process: ChildProcess
    private let options: [String]
    private let certificates: TestCertificates?

    /// Starts the server and waits until it accepts connections.
    ///
    /// - Parameters:
    ///    - options: options of redis-server, such as `["--appendonly", "yes"]`; they override
    ///      those of the tests.
    ///    - port: nil for a free one.
    ///    - folder: the folder of an earlier server, to continue with its data.
    ///    - certificates: if set, the server uses only TLS, with the certificate `server`.
    public init(
        _ options: [String] = [], port: UInt16? = nil, in folder: TemporaryFolder? = nil,
        certificates: TestCertificates? = nil
    ) throws {
        let folder = try folder ?? TemporaryFolder()
        self.folder = folder
        self.options = options
        self.certificates = certificates
        if let port {
            self.port = port
            self.process = try Self.start(port, options, folder, certificates)
            return
        }
        // Another process can take a port between its choice and its use.
        for _ in 0..<5 {
            let port = try freePort()
            guard let process = try? Self.start(port, options, folder, certificates) else {
                continue
            }
            self.port = port
            self.process = process
            return
        }
        let port = try freePort()
        self.port = port
        self.process = try Self.start(port, options, folder, certificates)
    }

    deinit { self.process.kill() }

    private static func start(
        _ port: UInt16, _ options: [String], _ folder: TemporaryFolder,
        _ certificates: TestCertificates?
    ) throws -> ChildProcess {
        var needed = [
            "--bind", "127.0.0.1", "--dir", folder.path, "--daemonize", "no", "--logfile", "",
            "--save", "", "--appendonly", "no",
        ]
        if let certificates {
            needed +=
                ["--port", "0", "--tls-port", "\(port)"]
                + certificates.redisOptions.flatMap { ["--\($0.name)", $0.value] }
        } else {
            needed += ["--port", "\(port)"]
        }
        let process = try ChildProcess(
            Checkout.program("redis-server"), needed + options, folder: folder.path)
        do {
            try process.output.line("the line that it is ready") {
                $0.contains("Ready to accept connections") || $0.contains("Sentinel ID is")
            }
        } catch {
            process.kill()
            throw error
        }
        return process
    }

    public var url: String {
        "\(self.certificates == nil ? "redis" : "rediss")://127.0.0.1:\(self.port)"
    }

    /// Executes a command with `redis-cli`, and returns what it prints.
    @discardableResult
    public func execute(_ arguments: String...) throws -> String { try self.execute(arguments) }

    @discardableResult
    public func execute(_ arguments: [String]) throws -> String {
        let security = self.certificates?.clientOptions ?? []
        let answer = try run(
            Checkout.program("redis-cli"),
            ["-h", "127.0.0.1", "-p", "\(self.port)"] + security + arguments)
        guard answer.exitStatus == .exited(0) else {
            throw TestFailure("redis-cli \(arguments.joined(separator: " ")): \(answer.errors)")
        }
        return answer.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    // MARK: Stopping

    /// Sends SIGTERM and waits for the process to end.
    public func stop() throws {
        self.process.send(SIGTERM)
        try self.process.waitForExit()
    }

    /// Sends SIGKILL and waits for the process to end.
    public func crash() throws {
        self.process.send(SIGKILL)
        try self.process.waitForExit()
    }

    /// Stops the process with SIGSTOP until `unfreeze()`. Its connections stay open.
    public func freeze() throws { try self.process.freeze() }

    public func unfreeze() { self.process.send(SIGCONT) }

    /// Restarts the server after its end, with the same port and folder.
    ///
    /// - Parameter options: additional options for this start, which override the earlier ones.
    public func restart(_ options: [String] = []) throws {
        self.process = try Self.start(
            self.port, self.options + options, self.folder, self.certificates)
    }
}
