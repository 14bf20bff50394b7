import Bytes
import ChatModel
import Configuration
public import ConversationsDialect
public import DialectKit
import EmbeddedStore
import EventLoop
import Foundation
public import Gateway
public import HTTPWire
public import Identity
public import Telemetry
public import TestKit

/// A node in this process, on free ports of 127.0.0.1, with its files in a temporary folder.
public final class TestNode {
    public enum EmbeddedStoreKind: Sendable, CaseIterable {
        case memory
        /// In the node's folder.
        case sqlite
    }

    /// The options that a test may change.
    public struct NodeOptions {
        public var settings: GatewaySettings
        public var live: LiveSettings
        public var admin: (any RequestHandler)?
        public var routes: [Route] = []
    }

    public let gateway: Gateway
    public let folder: TemporaryFolder
    public let logger: Logger
    public let board: PublishedMetrics
    /// Between the node and the embedded store.
    public let store: StoreGate
    /// The settings with which the node was started.
    public let live: LiveSettings
    private let embedded: any ChatStore
    /// Whether another node closes the store.
    private let sharesStore: Bool
    private let logDescriptor: Int32

    /// For HS256, so at least 32 bytes.
    public static let secret = Array("a secret of the tests, long enough".utf8)

    /// - Parameters:
    ///   - other: the node whose store this one shares, as nodes of a cluster do.
    ///   - folder: the folder of an earlier node, to continue with its data.
    public init(
        loops: Int = 1, store: EmbeddedStoreKind = .memory, sharingStoreOf other: TestNode? = nil,
        in folder: TemporaryFolder? = nil,
        history: Int = 10_000,
        dialects: [any Dialect] = [ConversationsDialect()],
        logLevel: LogLevel = .info,
        _ change: (inout NodeOptions) throws -> Void = { _ in }
    ) throws {
        ProcessSetup.raiseDescriptorLimit()
        let folder = try folder ?? TemporaryFolder()
        var limits = Limits()
        limits.historyLimit = history
        let settings = GatewaySettings(
            nodeName: "test", incarnation: UInt64.random(in: 1...UInt64.max), version: "0",
            loopCount: loops, clientHost: "127.0.0.1",
            clientPort: 0,
            adminHost: nil, adminPort: 0, dialects: dialects,
            trustedProxies: IPNetwork.loopback, echoPath: "/echo")
        let live = LiveSettings(
            verifier: TokenVerifier(secret: Self.secret), tls: nil,
            origins: OriginPolicy(AllowedOrigins(own: true, others: ["https://page.test"])),
            limits: limits)
        var setup = NodeOptions(settings: settings, live: live, admin: nil)
        try change(&setup)
        self.folder = folder
        self.live = setup.live
        self.logDescriptor = open(
            folder.file("log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        self.logger = Logger(
            level: logLevel, format: .json, writer: LogWriter(descriptor: self.logDescriptor))
        self.board = PublishedMetrics(loopCount: loops)
        self.sharesStore = other != nil
        self.embedded =
            if let other {
                other.embedded
            } else if store == .memory {
                MemoryStore(history: history)
            } else {
                try SQLiteStore(path: folder.file("confab.db"), history: history)
            }
        self.store = StoreGate(before: self.embedded)
        let store = self.store
        self.gateway = try Gateway(
            setup.settings, live: setup.live, logger: self.logger, board: self.board,
            admin: setup.admin ?? NotFoundHandler(), routes: setup.routes
        ) { _, _ in store }
    }

    deinit {
        self.store.open()
        self.gateway.stop()
        if !self.sharesStore { (self.embedded as? SQLiteStore)?.close() }
        self.logger.flush()
        close(self.logDescriptor)
    }

    public var port: UInt16 { self.gateway.clientAddress.port }

    /// The node's log, one JSON object per line.
    public func log() throws -> [JSONObject] {
        self.logger.flush()
        return try self.folder.read("log").split(separator: "\n").map { try JSONObject(String($0)) }
    }

    public func hasLogged(_ name: String) throws -> Bool {
        self.logger.flush()
        return try self.folder.read("log").contains(#""msg":"\#(name)""#)
    }

    /// The lines of this event, once there are enough.
    public func log(_ name: String, atLeast count: Int) throws -> [JSONObject] {
        try Deadline.wait(for: "\(count) lines \"\(name)\" in the log") {
            let lines = try self.log().filter { $0["msg"] == name }
            return lines.count >= count ? lines : nil
        }
    }

    /// The sum over all loops, once it satisfies the condition. Loops publish once a second.
    public func metrics(_ description: String, where condition: (MetricsSnapshot) -> Bool) throws
        -> MetricsSnapshot
    {
        try Deadline.wait(for: description) {
            let total = self.board.total()
            return condition(total) ? total : nil
        }
    }

    // MARK: Clients

    /// A token, by default with access to all conversations.
    public static func token(
        _ user: String, grants: Grants = .all, isAdmin: Bool = false,
        lasting: Duration = .seconds(3600)
    ) throws
        -> String
    {
        let expiry = WallClock.now.milliseconds + Int64(lasting / .milliseconds(1))
        let claims = Claims(
            subject: user, grants: grants, isAdmin: isAdmin, expiry: Timestamp(milliseconds: expiry)
        )
        return try TokenSigner(secret: Self.secret).sign(claims)
    }

    /// The path of a conversation for a user.
    public static func path(_ user: String, in conversation: String, after: String? = nil) throws
        -> String
    {
        "/conversations/\(conversation)/?token=\(try self.token(user))"
            + (after.map { "&after=\($0)" } ?? "")
    }

    /// A connected client of the Conversations protocol.
    public func conversationClient(
        _ user: String, in conversation: String = "room", after: String? = nil,
        receiveBytes: Int32? = nil
    ) throws -> ConversationClient {
        let client = ConversationClient(
            try RawWebSocketClient(
                Self.path(user, in: conversation, after: after), port: self.port,
                receiveBytes: receiveBytes))
        if after == nil { try client.synchronize() }
        return client
    }

    /// A connected client of the Conversations protocol, as a `TestPeer`.
    ///
    /// - Parameter preventsHandoff: whether the connection stays on the loop that accepted it.
    public func peer(
        _ user: String, in conversation: String = "room", after: String? = nil,
        receiveBytes: Int32? = nil, preventsHandoff: Bool = false
    ) throws -> TestPeer {
        try TestPeer(
            Self.path(user, in: conversation, after: after), port: self.port,
            receiveBytes: receiveBytes, preventsHandoff: preventsHandoff)
    }

    /// A request for an upgrade to WebSocket, with further header lines.
    public static func upgradeRequest(_ path: String, lines: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + "\(lines)\r\n"
    }

    /// A WebSocket that gets its frames back.
    public func echo(fields: [String: String] = [:]) throws -> RawWebSocketClient {
        try RawWebSocketClient("/echo", port: self.port, fields: fields)
    }

    /// Waits until this number of connections is open.
    public func waitForConnections(_ count: Int) throws {
        try Deadline.wait(
            for: "\(count) connections, there are \(self.gateway.connectionCount)",
            untilTrue: { self.gateway.connectionCount == count })
    }
}

/// Answers every request with 404.
public struct NotFoundHandler: RequestHandler {
    public init() {}

    public func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        throw .notFound
    }
}
