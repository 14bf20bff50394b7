import Bytes
public import EventLoop
import Synchronization
import TLS

/// A client of a server or a cluster: conversations whose messages survive any interruption.
///
/// ```swift
/// let confab = try Confab("http://127.0.0.1:8080", token: token)
/// let room = confab.conversation("lobby")
/// try await room.send("hi")
/// for await event in room.events { print(event) }
/// ```
///
/// Each conversation has its own connection, which is opened and kept open in the background. The
/// client resumes without a gap. It retains outgoing messages until the server has acknowledged
/// them, and sends each under one local id, so that the server stores it once.
public final class Confab: Sendable {
    /// The options of a client. All but `url` are optional.
    package struct Setup: Sendable {
        package var url: String
        package var token: String?
        var provider: (@Sendable () async throws -> String)?
        /// The name of a user without a token.
        package var user: String?
        /// The file of the outbox.
        package var store: String?
        package var dialect: ChatDialect?
        /// The protocols that a URL may name.
        package var dialects = ChatDialect.all
        /// The conversation of `conversation()`, if the URL has none.
        package var conversation: String?
        /// A PEM file with certificate authorities for `https`.
        package var authorities: String?
        package var history = 50
        var keep = 1000

        package init(_ url: String) { self.url = url }
    }

    /// The loop of the connections. Listeners run on it.
    public let loop: EventLoop
    package let target: ChatTarget
    let token: ConfabToken
    private let setup: Setup
    private let store: PendingMessageStore?
    private let connections: ConfabLoop
    let rest: RESTClientLoop
    private let cores = Mutex<[String: ConversationCore]>([:])
    /// Distinguishes guests of the same name.
    private let guestID = "guest-" + Confab.randomID(byteCount: 8)

    /// A client with a fixed token, or without one.
    ///
    /// - Parameters:
    ///   - url: the server, as in `http://HOST:PORT`; a path before the protocol's is allowed.
    ///   - token: without it the client is a guest, if the server accepts guests.
    ///   - user: the name of a guest.
    ///   - store: a file for messages that are not acknowledged; one per client.
    ///   - dialect: the protocol. By default the one of the URL's path, or else Conversations, or
    ///     Rooms for a guest.
    ///   - authorities: a PEM file with certificate authorities; by default the system's.
    ///   - history: how many of the newest messages to load at first, 0 to 100.
    ///   - keep: how many of the newest messages are retained, without those of `older`; at
    ///     least 100.
    public convenience init(
        _ url: String, token: String? = nil, user: String? = nil, store: String? = nil,
        dialect: ChatDialect? = nil, authorities: String? = nil, history: Int = 50,
        keep: Int = 1000
    ) throws(ConfabError) {
        var setup = Setup(url)
        setup.token = token
        setup.user = user
        setup.store = store
        setup.dialect = dialect
        setup.authorities = authorities
        setup.history = history
        setup.keep = keep
        try self.init(setup)
    }

    /// A client whose token is renewed: `token` is called at first, 30 seconds before the token
    /// expires, and once after the server has rejected it.
    public convenience init(
        _ url: String, token: @escaping @Sendable () async throws -> String, store: String? = nil,
        dialect: ChatDialect? = nil, authorities: String? = nil, history: Int = 50,
        keep: Int = 1000
    ) async throws {
        var setup = Setup(url)
        setup.token = try await token()
        setup.provider = token
        setup.store = store
        setup.dialect = dialect
        setup.authorities = authorities
        setup.history = history
        setup.keep = keep
        try self.init(setup)
    }

    package init(_ setup: Setup) throws(ConfabError) {
        guard (0...100).contains(setup.history) else {
            throw .refused("history: must be from 0 to 100")
        }
        guard setup.keep >= 100 else { throw .refused("keep: must be at least 100") }
        let url: WebSocketURL
        do throws(WebSocketURLError) {
            url = try WebSocketURL(setup.url)
        } catch {
            throw .url(error)
        }
        let token = setup.token ?? (setup.user == nil ? url.parameter("token") : nil)
        let guest: ChatDialect? = token == nil && setup.user != nil ? .rooms : nil
        let named = ChatURL(url, among: setup.dialects).dialect
        let target = try ChatTarget(
            url, dialect: setup.dialect ?? named ?? guest, conversation: setup.conversation,
            among: setup.dialects, namesConversation: false)
        guard token != nil || !target.dialect.requiresToken else { throw .noToken }
        self.target = target
        self.setup = setup
        self.token = ConfabToken(
            token, isInURL: url.parameter("token") == token, provider: setup.provider)
        self.store = try setup.store.map { (path) throws(ConfabError) in
            try PendingMessageStore(path)
        }
        let tls = try Self.tlsContext(url, setup.authorities)
        do throws(SocketError) {
            self.loop = try EventLoop.start(name: "confab")
        } catch {
            throw .connection(.socket(error, endpoint: "This machine"))
        }
        self.connections = ConfabLoop(on: self.loop, tls: tls, token: self.token)
        self.rest = RESTClientLoop(
            to: target.location, on: self.loop, tls: tls, token: self.token)
        self.loop.setHandler(self.connections)
    }

    deinit { self.loop.stop() }

    private static func tlsContext(_ url: WebSocketURL, _ authorities: String?)
        throws(ConfabError) -> TLSContext?
    {
        guard url.isSecure else { return nil }
        do throws(TLSError) {
            return try TLSContext(clientTrusting: authorities, offersHTTP: true)
        } catch {
            throw .connection(.tls(error))
        }
    }

    /// The id under which others see this client; nil where only the server knows it.
    public var user: String? { self.target.dialect.ownUser(self.context(of: self.target)) }

    /// The state of the least connected conversation.
    public var state: ClientState {
        let states = self.cores.withLock { $0.values.map { $0.state.withLock(\.change.state) } }
        let order: [ClientState] = [
            .waiting, .connecting, .offline, .refused, .online, .closed,
        ]
        return order.first { states.contains($0) } ?? .offline
    }

    /// A conversation. Its connection is opened with the first call for an id, and resumes after a
    /// message and revision if they are given.
    public func conversation(_ id: String, after: Int? = nil, rev: Int? = nil)
        -> ConfabConversation
    {
        self.conversation(
            self.target.replacing(conversation: id), resumePoint: after.map { ($0, rev) })
    }

    package func conversation(_ target: ChatTarget, resumePoint: (id: Int, rev: Int?)? = nil)
        -> ConfabConversation
    {
        let id = target.conversation ?? ""
        let (core, isNew) = self.cores.withLock { cores in
            if let core = cores[id], !core.isClosed { return (core, false) }
            let context = self.context(of: target)
            let settings = ChatSession.Settings(
                user: target.dialect.ownUser(context), guestKey: context.claims?.guestKey,
                windowCount: self.setup.history, keptCount: self.setup.keep,
                resumePoint: resumePoint,
                canRenewToken: self.token.canRenew)
            let session = ChatSession(
                settings, outbox: self.store?.items(of: id) ?? [],
                speaking: target.dialect.client(context), using: SystemRandomNumberGenerator())
            let connections = self.connections
            let core = ConversationCore(id, at: target.location.url, session, store: self.store) {
                connections.wake()
            }
            cores[id] = core
            return (core, true)
        }
        return ConfabConversation(client: self, core: core, isNew: isNew)
    }

    func start(_ core: ConversationCore) { self.connections.add(core) }

    private func context(of target: ChatTarget) -> ClientContext {
        target.context(
            token: self.token.text, claims: self.token.claims, name: self.setup.user,
            guest: self.guestID)
    }

    /// Ends all connections. Calls that wait fail; a store retains unsent messages.
    public func close() async {
        let cores = self.cores.withLock { Array($0.values) }
        for core in cores { core.perform { session, _, steps in session.close(into: &steps) } }
        for core in cores {
            // A server that does not answer the close frame is not awaited for long.
            await core.condition.wait(within: .seconds(2)) { core.isClosed && !core.isConnected }
        }
        self.loop.stop()
        self.store?.close()
    }

    /// A random id in hexadecimal digits.
    package static func randomID(byteCount: Int) -> String {
        Hex.encode((0..<byteCount).map { _ in UInt8.random(in: 0...255) })
    }
}
