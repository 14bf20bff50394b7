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

/// A node in this very process, on free ports of 127.0.0.1, with everything it writes in a folder of its own.
public final class TestNode {
    public enum StoreKind: Sendable, CaseIterable {
        case memory
        /// In the node's folder.
        case sqlite
    }

    /// What a test may want otherwise.
    public struct NodeOptions {
        public var settings: GatewaySettings
        public var live: LiveSettings
        public var admin: (any RequestHandler)?
        public var api: (any RequestHandler)?
    }

    public let gateway: Gateway
    public let folder: TemporaryFolder
    public let logger: Logger
    public let board: PublishedMetrics
    /// Between the node and what really stores.
    public let store: StoreGate
    /// As the node was started with it.
    public let live: LiveSettings
    private let embedded: LocalStore
    private let logDescriptor: Int32

    /// HS256, at least 32 bytes.
    public static let secret = Array("a secret of the tests, long enough".utf8)

    /// - Parameter folder: of a node that was there before, to go on with what it left.
    public init(
        loops: Int = 1, store: StoreKind = .memory, in folder: TemporaryFolder? = nil,
        history: Int = 10_000,
        dialects: [any Dialect] = [ConversationsDialect()],
        logLevel: LogLevel = .info,
        _ change: (inout NodeOptions) throws -> Void = { _ in }
    ) throws {
        ProcessSetup.raiseDescriptorLimit()
        let folder = try folder ?? TemporaryFolder()
        var chatLimits = ChatLimits()
        chatLimits.historyLimit = history
        let settings = GatewaySettings(
            nodeName: "test", incarnation: UInt64.random(in: 1...UInt64.max), version: "0",
            loopCount: loops, clientHost: "127.0.0.1",
            clientPort: 0,
            adminHost: nil, adminPort: 0, dialects: dialects, chatLimits: chatLimits,
            trustedProxies: IPNetwork.loopback, echoPath: "/echo")
        let live = LiveSettings(
            verifier: TokenVerifier(secret: Self.secret), tls: nil,
            origins: OriginPolicy(AllowedOrigins(own: true, others: ["https://page.test"])),
            limits: Limits())
        var setup = NodeOptions(settings: settings, live: live, admin: nil)
        try change(&setup)
        self.folder = folder
        self.live = setup.live
        self.logDescriptor = open(
            folder.file("log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        self.logger = Logger(
            level: logLevel, format: .json, writer: LogWriter(descriptor: self.logDescriptor))
        self.board = PublishedMetrics(loopCount: loops)
        self.embedded =
            store == .memory
            ? .memory(history: history)
            : try .sqlite(path: folder.file("confab.db"), history: history)
        self.store = StoreGate(before: self.embedded)
        let store = self.store
        self.gateway = try Gateway(
            setup.settings, live: setup.live, logger: self.logger, board: self.board,
            admin: setup.admin ?? NotFoundHandler(), api: setup.api
        ) { _, _ in store }
    }

    deinit {
        self.store.open()
        self.gateway.stop()
        self.embedded.close()
        self.logger.flush()
        close(self.logDescriptor)
    }

    public var port: UInt16 { self.gateway.clientAddress.port }

    /// What the node has logged, one JSON object a line.
    public func log() throws -> [JSONObject] {
        self.logger.flush()
        return try self.folder.read("log").split(separator: "\n").map { try JSONObject(String($0)) }
    }

    public func hasLogged(_ name: String) throws -> Bool {
        self.logger.flush()
        return try self.folder.read("log").contains(#""msg":"\#(name)""#)
    }

    /// The lines of that name, once there are so many.
    public func log(_ name: String, atLeast count: Int) throws -> [JSONObject] {
        try Deadline.wait(for: "\(count) lines \"\(name)\" in the log") {
            let lines = try self.log().filter { $0["msg"] == name }
            return lines.count >= count ? lines : nil
        }
    }

    /// The sum over all loops, once it is as the test wants it; loops publish once a second.
    public func metrics(_ what: String, where isGood: (MetricsSnapshot) -> Bool) throws
        -> MetricsSnapshot
    {
        try Deadline.wait(for: what) {
            let total = self.board.total()
            return isGood(total) ? total : nil
        }
    }

    // MARK: Clients

    /// A token; all conversations unless told otherwise.
    public static func token(
        _ user: String, grants: Grants = .all, isAdmin: Bool = false,
        lasting: Duration = .seconds(3600)
    ) throws
        -> String
    {
        let end = WallClock.now.milliseconds + Int64(lasting / .milliseconds(1))
        let claims = Claims(
            subject: user, grants: grants, isAdmin: isAdmin, expiry: Timestamp(milliseconds: end))
        return try TokenSigner(secret: Self.secret).sign(claims)
    }

    /// The path of a conversation for a user.
    public static func path(_ user: String, in conversation: String, after: String? = nil) throws
        -> String
    {
        "/conversations/\(conversation)/?token=\(try self.token(user))"
            + (after.map { "&after=\($0)" } ?? "")
    }

    /// Somebody who has come in.
    public func conversationClient(
        _ user: String, in conversation: String = "room", after: String? = nil,
        receiveBytes: Int32? = nil
    ) throws -> ConversationClient {
        let talker = ConversationClient(
            try RawWebSocketClient(
                Self.path(user, in: conversation, after: after), port: self.port,
                receiveBytes: receiveBytes))
        if after == nil { try talker.synchronize() }
        return talker
    }

    /// Somebody who has come in, read with `Peer`.
    ///
    /// - Parameter staysWhereItIs: whether it stays on the loop that has taken it, wherever its conversation lives.
    public func peer(
        _ user: String, in conversation: String = "room", after: String? = nil,
        receiveBytes: Int32? = nil, preventsHandoff staysWhereItIs: Bool = false
    ) throws -> TestPeer {
        try TestPeer(
            Self.path(user, in: conversation, after: after), port: self.port,
            receiveBytes: receiveBytes, preventsHandoff: staysWhereItIs)
    }

    /// A WebSocket whose frames are sent back.
    public func echo(fields: [String: String] = [:]) throws -> RawWebSocketClient {
        try RawWebSocketClient("/echo", port: self.port, fields: fields)
    }

    /// Waits until so many connections are open.
    public func waitForConnections(_ count: Int) throws {
        try Deadline.wait(
            for: "\(count) connections, there are \(self.gateway.connectionCount)",
            untilTrue: { self.gateway.connectionCount == count })
    }
}

/// A site that has nothing.
public struct NotFoundHandler: RequestHandler {
    public init() {}

    public func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        throw .notFound
    }
}
