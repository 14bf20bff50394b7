import Bytes
import Foundation
import Identity

/// A running `confab serve` on free ports of 127.0.0.1. It keeps all its files in its own folder.
public final class ConfabServer {
    public enum LocalStoreKind: Sendable {
        case memory
        /// A database file in the server's folder.
        case sqlite
    }

    public let folder: TemporaryFolder
    public let process: ChildProcess
    public let port: UInt16
    public let adminPort: UInt16

    /// The HS256 secret; at least 32 bytes.
    public static let secret = "a secret of the tests, long enough"

    /// Starts the server and waits until it reports that it is ready.
    ///
    /// - Parameters:
    ///    - options: added to the options that the tests need; the last one wins.
    ///    - operatorsNeedToken: whether the admin listener has its default, a token in a file. By
    ///      default, and without `--admin-token-file`, tests need none.
    ///    - folder: the folder of an earlier server, to continue with its files.
    public init(
        _ options: [String] = [], store: LocalStoreKind = .memory,
        operatorsNeedToken: Bool = false,
        in folder: TemporaryFolder? = nil, environment: [String: String] = [:],
        openFiles: Int? = nil
    ) throws {
        let folder = try folder ?? TemporaryFolder()
        self.folder = folder
        let secret = try folder.write(Self.secret, to: "jwt.secret")
        // Otherwise every start warns.
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: secret)
        let needed = [
            "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--jwt-secret-file",
            secret,
            "--store", store == .memory ? "memory:" : "sqlite:\(folder.file("confab.db"))",
            "--drain-seconds", "1", "--loops", "3",
        ]
        let opening =
            operatorsNeedToken || options.contains("--admin-token-file")
            ? [] : ["--admin-token", "off"]
        let process = try ChildProcess(
            Checkout.confab, needed + opening + options, environment: environment,
            folder: folder.path,
            openFiles: openFiles)
        self.process = process
        do {
            let line = try process.errors.line("the ready line") {
                $0.contains("confab ready on ") || $0.contains(#""msg":"ready""#)
            }
            self.port = try Self.port(in: line)
            self.adminPort = try Self.port(in: process.errors.line(with: "admin listening"))
        } catch {
            process.kill()
            throw error
        }
    }

    deinit { self.process.kill() }

    private static func port(in line: String) throws -> UInt16 {
        guard let match = line.firstMatch(of: /(?:127\.0\.0\.1|0\.0\.0\.0):([0-9]+)/),
            let port = UInt16(match.1)
        else {
            throw TestFailure("no address in: \(line)")
        }
        return port
    }

    // MARK: Tokens

    /// A token that the server accepts. By default it grants access to all conversations.
    public static func token(
        for user: String, name: String? = nil, tenant: String? = nil,
        conversations: [String]? = nil, isAdmin: Bool = false,
        validFor seconds: Double = 3600, secret: String = ConfabServer.secret
    ) throws -> String {
        let grants: Grants = conversations.map { .listed(Set($0.map { .init($0) })) } ?? .all
        let expiry = Date().timeIntervalSince1970 + seconds
        let claims = Claims(
            subject: user, username: name, tenant: tenant, grants: grants, isAdmin: isAdmin,
            expiry: .init(milliseconds: Int64(expiry * 1000)))
        return try TokenSigner(secret: Array(secret.utf8)).sign(claims)
    }

    // MARK: Clients and requests

    public func path(to conversation: String, token: String, query: String = "") -> String {
        "/conversations/\(conversation)/?token=\(token)\(query.isEmpty ? "" : "&")\(query)"
    }

    public func connect(
        _ user: String, to conversation: String = "lobby", query: String = "",
        receiveBytes: Int32? = nil
    ) throws -> ConversationClient {
        try self.connect(
            token: Self.token(for: user), to: conversation, query: query, receiveBytes: receiveBytes
        )
    }

    public func connect(
        token: String, to conversation: String = "lobby", query: String = "",
        receiveBytes: Int32? = nil
    ) throws -> ConversationClient {
        let path = self.path(to: conversation, token: token, query: query)
        return ConversationClient(
            try RawWebSocketClient(path, port: self.port, receiveBytes: receiveBytes))
    }

    public func health() throws -> HTTPReply { try .get("/api/health", port: self.port) }

    /// Waits until the node is healthy.
    public func awaitHealthy() throws {
        try Deadline.wait(
            for: "health to be good", untilTrue: { try self.health().status == 200 })
    }

    public func metrics() throws -> String {
        let reply = try HTTPReply.get("/metrics", port: self.adminPort)
        guard reply.status == 200 else { throw TestFailure("/metrics answers \(reply.status)") }
        return reply.body
    }

    /// The value of a sample, by its name and labels as printed:
    /// `confab_connections{dialect="conversations"}`.
    public func metric(_ sample: String) throws -> Double? {
        try self.metrics().split(separator: "\n").first { $0.hasPrefix(sample + " ") }.flatMap {
            Double($0.split(separator: " ").last ?? "")
        }
    }

    /// Waits until this node knows that this number of nodes share all shards, and that no shard is
    /// moving. While a node joins, conversations move to a new owner. Until that owner knows all
    /// nodes, an event that both owners sent can arrive twice.
    public func awaitShardBalance(of nodes: Int) throws {
        try Self.awaitShardBalance(of: nodes, adminPort: self.adminPort)
    }

    /// The same for a node that another program has started.
    static func awaitShardBalance(of nodes: Int, adminPort: UInt16) throws {
        try Deadline.wait(
            for: "\(nodes) nodes to have their shares",
            untilTrue: {
                let reply = try HTTPReply.get("/api/cluster/status", port: adminPort)
                guard reply.status == 200 else { return false }
                let status = try JSONObject(reply.body)
                return status.number("nodes") == Double(nodes)
                    && status.number("shards_moving") == 0
            })
    }

    /// Waits until this node has evicted all others, which were killed. Until then it does not own
    /// their conversations, and a client that joins one of them waits for a few seconds at most.
    public func awaitEviction() throws {
        try Deadline.wait(
            for: "the eviction of dead nodes",
            untilTrue: { try self.metric("confab_cluster_nodes") == 1 })
    }

    // MARK: Stopping

    /// Sends SIGTERM, which drains the server, and waits for the process to end.
    @discardableResult
    public func stop() throws -> ChildProcess.ExitStatus {
        self.process.send(SIGTERM)
        return try self.process.waitForExit()
    }

    /// Sends SIGKILL and waits for the process to end.
    public func crash() throws {
        self.process.send(SIGKILL)
        try self.process.waitForExit()
    }
}
