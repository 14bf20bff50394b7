import Bytes
import EventLoop
import HTTPWire
import Synchronization
import TLS

/// The connections of a client, on its event loop.
final class ConfabLoop: EventLoopHandler {
    private struct SessionConnection {
        let core: ConversationCore
        var client: WebSocketClient
        var events: [WebSocketClient.Event] = []

        mutating func change(
            _ body: (inout WebSocketClient, inout [WebSocketClient.Event]) -> Void
        ) {
            body(&self.client, &self.events)
        }
    }

    let loop: EventLoop
    private let tls: TLSContext?
    private let token: ConfabToken
    private let connections: LoopBound<[SessionConnection]>

    init(on loop: EventLoop, tls: TLSContext?, token: ConfabToken) {
        self.loop = loop
        self.tls = tls
        self.token = token
        self.connections = LoopBound([], on: loop)
    }

    /// Adds a conversation and connects it.
    func add(_ core: ConversationCore) {
        self.loop.execute {
            self.connections.with {
                $0.append(
                    SessionConnection(
                        core: core,
                        client: WebSocketClient(on: self.loop, url: core.url, tls: self.tls)))
            }
        }
        core.perform { session, _, steps in session.start(into: &steps) }
    }

    /// Makes the loop carry out the steps of its conversations.
    func wake() {
        // The end of the turn carries them out.
        self.loop.execute {}
    }

    // MARK: The loop

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.connections.with { connections in
            for index in connections.indices {
                connections[index].change {
                    $0.socketReady(token, readable: readable, writable: writable, into: &$1)
                }
            }
        }
    }

    func tick(now _: MonotonicTime) {
        // Not the loop's clock: this one also counts while the machine is suspended.
        let now = MonotonicTime.sinceBoot
        self.connections.with { connections in
            for index in connections.indices {
                connections[index].change { $0.tick(now: now, into: &$1) }
                connections[index].core.state.withLock { state in
                    state.session.tick(at: now, into: &state.steps)
                }
            }
        }
    }

    func turnEnding() {
        for core in self.connections.with({ $0.map(\.core) }) { self.perform(core) }
        self.connections.with { connections in
            connections.removeAll { $0.core.isClosed && !$0.core.isConnected }
        }
    }

    /// Steps cause events, and events cause steps, until both queues are empty.
    private func perform(_ core: ConversationCore) {
        while true {
            let events = self.change(core) { connection in
                defer { connection.events.removeAll(keepingCapacity: true) }
                return connection.events
            }
            guard let events else { return self.performClosed(core) }
            for event in events { self.handle(event, core) }
            let steps = core.takeSteps()
            for step in steps { self.perform(step, core) }
            if events.isEmpty, steps.isEmpty { return }
        }
    }

    /// The connection has been removed; only events are left.
    private func performClosed(_ core: ConversationCore) {
        for step in core.takeSteps() {
            switch step {
            case .emit(let event): core.deliver(event)
            case .answer(let id, let answer): core.answer(id, answer)
            default: break
            }
        }
    }

    private func change<Value>(_ core: ConversationCore, _ body: (inout SessionConnection) -> Value)
        -> Value?
    {
        self.connections.with { connections in
            connections.firstIndex { $0.core === core }.map { body(&connections[$0]) }
        }
    }

    private func handle(_ event: WebSocketClient.Event, _ core: ConversationCore) {
        let now = MonotonicTime.sinceBoot
        switch event {
        case .opened:
            let lifetime = self.token.lifetime
            core.state.withLock {
                $0.session.opened(tokenLifetime: lifetime, at: now, into: &$0.steps)
            }
        case .text(let text):
            core.state.withLock { $0.session.received(text, at: now, into: &$0.steps) }
        case .binary:
            core.state.withLock { state in
                let title = state.session.dialect.dialect.title
                let reason =
                    "The server sent a binary message, which the \(title) protocol does not have."
                state.steps.append(.emit(.error(reason: reason, action: "frame")))
            }
        case .bytesReceived: break
        case .closed(let error):
            core.state.withLock {
                $0.isConnected = false
                $0.session.disconnected(error, at: now, into: &$0.steps)
            }
            core.condition.notify()
        }
    }

    private func perform(_ step: ClientStep, _ core: ConversationCore) {
        switch step {
        case .connect(let after, let rev): self.connect(core, after, rev)
        case .send(let text):
            _ = self.change(core) { $0.client.send(text, into: &$0.events) }
        case .emit(let event): core.deliver(event)
        case .answer(let id, let answer): core.answer(id, answer)
        case .save(let item):
            self.store(core) { (store) throws(ConfabError) in try store.save(item, of: core.id) }
        case .forget(let localID):
            self.store(core) { (store) throws(ConfabError) in
                try store.forget(localID, of: core.id)
            }
        case .requestToken: self.requestToken(core)
        case .close:
            _ = self.change(core) { connection in
                guard core.isConnected else { return }
                connection.client.close(.normal, now: .sinceBoot, into: &connection.events)
            }
        case .drop(let error):
            _ = self.change(core) { $0.client.drop(error, into: &$0.events) }
        }
    }

    private func store(
        _ core: ConversationCore, _ change: (PendingMessageStore) throws(ConfabError) -> Void
    ) {
        guard let store = core.store else { return }
        do throws(ConfabError) {
            try change(store)
        } catch {
            core.deliver(.error(reason: error.description, action: "store"))
        }
    }

    private func connect(_ core: ConversationCore, _ after: Int?, _ rev: Int?) {
        let url = core.url
        Resolver.resolve(host: url.host, port: url.port, on: self.loop) { result in
            switch result {
            case .success(let addresses):
                let (target, sendsToken) = core.state.withLock {
                    let dialect = $0.session.dialect
                    return (dialect.url(after: after, rev: rev), dialect.sendsTokenInHeader)
                }
                var fields: [HTTPField] = []
                // In a header field and not in the URL, because proxies log URLs.
                if sendsToken, let token = self.token.header {
                    fields.append(HTTPField("Authorization", "Bearer \(token)"))
                }
                _ = self.change(core) { connection in
                    guard !core.isClosed else { return }
                    core.state.withLock { $0.isConnected = true }
                    connection.client.connect(
                        to: addresses, as: target, fields: fields, now: .sinceBoot,
                        into: &connection.events)
                }
            case .failure(let error):
                core.state.withLock { state in
                    // The name resolved before, so this is a network outage, and a retry may
                    // succeed.
                    let failure =
                        state.session.hasJoined
                        ? ClientError.broken(reason: error.description)
                        : .socket(error, endpoint: url.host)
                    state.session.disconnected(failure, at: .sinceBoot, into: &state.steps)
                }
            }
        }
    }

    private func requestToken(_ core: ConversationCore) {
        Task {
            let result = await self.token.renewed()
            core.perform { session, now, steps in
                switch result {
                case .success(let token):
                    session.renew(
                        token: token, lifetime: self.token.lifetime, at: now, into: &steps)
                case .failure(let error):
                    session.renewalFailed("\(error)", at: now, into: &steps)
                }
            }
        }
    }
}

/// The token of a client.
final class ConfabToken: Sendable {
    typealias Provider = @Sendable () async throws -> String

    private struct State {
        var token: String?
        var claims: UnverifiedTokenClaims?
    }

    private let provider: Provider?
    private let isInURL: Bool
    private let state: Mutex<State>

    /// - Parameters:
    ///   - isInURL: whether the URL has the token already.
    ///   - provider: supplies another token; nil if there is none.
    init(_ token: String?, isInURL: Bool = false, provider: Provider? = nil) {
        self.provider = provider
        self.isInURL = isInURL
        self.state = Mutex(State(token: token, claims: token.flatMap { .init(token: $0) }))
    }

    var text: String? { self.state.withLock { $0.token } }
    var claims: UnverifiedTokenClaims? { self.state.withLock { $0.claims } }
    var canRenew: Bool { self.provider != nil }

    /// The token for the `Authorization` field; nil if the URL has it.
    var header: String? { self.isInURL ? nil : self.text }

    /// The time until the token expires; nil if it has no end.
    var lifetime: Duration? {
        self.claims?.expiry.map { .seconds($0 - Double(WallClock.now.milliseconds) / 1000) }
    }

    func renewed() async -> Result<String, any Error> {
        guard let provider = self.provider else { return .failure(ConfabError.noToken) }
        do {
            let token = try await provider()
            self.state.withLock { $0 = State(token: token, claims: .init(token: token)) }
            return .success(token)
        } catch {
            return .failure(error)
        }
    }
}
