internal import Bytes
public import ChatModel
internal import Configuration
public import EventLoop
internal import Synchronization
internal import TLS
public import Telemetry

/// Sends a node's events to its endpoints, on an event loop of its own: the shell of
/// `WebhookDelivery`.
///
/// Not with libcurl: Confab has an event loop, TLS and strict HTTP parsers, and each address must
/// be checked right before the connect. libcurl would add twenty libraries to the image.
public final class WebhookService: EventLoopHandler, StoreClient {
    public let loop: EventLoop
    /// Fills the outbox of the store.
    public let outbox: OutboxWriter
    let settings: WebhookSettings
    let readers: [OutboxReader]
    let logger: Logger
    let state: LoopBound<State>
    private let changes: ChangedPartitions
    private let published: Mutex<WebhookSummary>

    /// The partitions that may have new events.
    private final class ChangedPartitions: Sendable {
        let partitions = Mutex<Set<Int>>([])
    }

    struct State {
        var delivery: WebhookDelivery
        var store: (any ChatStore)?
        var signature: WebhookSignature?
        var tickets: [UInt64: @Sendable (StoreAnswer) -> Void] = [:]
        var lastTicket: UInt64 = 0
        var partitions: [Int]? = []
        var endpoints: [EndpointConnections]
        var tokens: [SocketToken: (endpoint: Int, connection: Int)] = [:]
    }

    /// - Parameter consumer: identifies the run of the node.
    public init(_ settings: WebhookSettings, consumer: String, logger: Logger) throws {
        let loop = try EventLoop.start(name: "webhooks")
        let groups = settings.urls.map { WebhookSettings.group(of: $0) }
        let changes = ChangedPartitions()
        // One context for all endpoints.
        let tls =
            try settings.urls.contains(where: \.isSecure)
            ? TLSContext(offersHTTP: true) : nil
        self.loop = loop
        self.settings = settings
        self.logger = logger
        self.changes = changes
        self.readers = groups.map {
            OutboxReader(group: $0, groups: groups, consumer: ByteString(consumer))
        }
        self.published = Mutex(WebhookSummary(urls: settings.names))
        self.state = LoopBound(
            State(
                delivery: WebhookDelivery(
                    endpointCount: settings.urls.count, limit: settings.limit),
                endpoints: settings.urls.map {
                    EndpointConnections(to: $0, tls: tls, on: loop)
                }), on: loop)
        let types = settings.types
        self.outbox = OutboxWriter(
            limit: settings.limit,
            event: { WebhookEvent.of($0, types: types, now: WallClock.now) },
            appended: { partition in
                let isFirst = changes.partitions.withLock { partitions in
                    partitions.insert(partition).inserted && partitions.count == 1
                }
                // The loop's handler takes the changes at its next turn.
                if isFirst { loop.execute {} }
            })
    }

    /// - Parameters:
    ///   - store: as this service's loop uses it.
    ///   - partitions: the partitions of this node; nil if it has the whole store.
    public func start(
        over store: any ChatStore, signing signature: WebhookSignature, partitions: [Int]?
    ) {
        self.loop.setHandler(self)
        self.loop.execute {
            self.state.with {
                $0.store = store
                $0.signature = signature
                $0.partitions = partitions
                $0.delivery.own(partitions)
            }
        }
    }

    /// The node's partitions have changed. Callable on any thread.
    public func own(_ partitions: [Int]) {
        self.loop.execute {
            self.state.with {
                $0.partitions = partitions
                $0.delivery.own(partitions)
            }
            self.advance()
        }
    }

    /// Members came online or went offline. Callable on any thread.
    public func announce(_ changes: [PresenceChange], in conversation: ConversationKey) {
        let events = WebhookEvent.of(
            changes, in: conversation, types: self.settings.types, now: WallClock.now)
        guard !events.isEmpty else { return }
        self.loop.execute {
            self.state.with { $0.delivery.append(unstored: events) }
            self.advance()
        }
    }

    /// The state a moment ago. Callable on any thread.
    public var summary: WebhookSummary { self.published.withLock { $0 } }

    /// Signs later requests with these secrets. Callable on any thread.
    public func sign(with signature: WebhookSignature) {
        self.loop.execute { self.state.with { $0.signature = signature } }
    }

    /// Ends all requests. Undelivered events stay in the store.
    public func stop() {
        self.loop.stop()
        self.loop.join()
    }

    // MARK: Events of the loop

    public func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.state.with { state in
            guard let place = state.tokens[token] else { return }
            let responses = state.endpoints[place.endpoint].socketReady(
                place.connection, readable: readable, writable: writable, now: .now)
            self.handle(responses, of: place.endpoint, &state)
        }
    }

    public func turnEnding() {
        let partitions = self.changes.partitions.withLock { partitions in
            defer { partitions.removeAll(keepingCapacity: true) }
            return partitions
        }
        guard !partitions.isEmpty else { return }
        self.state.with { state in
            for partition in partitions { state.delivery.eventsMayHaveArrived(in: partition) }
        }
        self.advance()
    }

    public func tick(now: MonotonicTime) {
        self.state.with { state in
            for index in state.endpoints.indices {
                let responses = state.endpoints[index].tick(now: now)
                self.handle(responses, of: index, &state)
            }
        }
        self.advance()
        let summary = self.state.with { state in
            WebhookSummary(
                urls: self.settings.names,
                reports: state.delivery.reports(now: WallClock.now),
                deadCount: state.delivery.deadCount)
        }
        self.published.withLock { $0 = summary }
    }

    /// Executes what is due.
    func advance() {
        self.state.with { self.advance(&$0) }
    }

    static var now: WebhookTime {
        WebhookTime(
            wall: WallClock.now, monotonic: MonotonicTime.exact.nanoseconds / 1_000_000)
    }

    private func advance(_ state: inout State) {
        var directives: [WebhookDelivery.WebhookDirective] = []
        state.delivery.advance(now: Self.now, into: &directives)
        for directive in directives { self.execute(directive, &state) }
    }

    // MARK: Directives

    private func execute(_ directive: WebhookDelivery.WebhookDirective, _ state: inout State) {
        switch directive {
        case .scan(let partitions):
            self.request(.scan(partitions: partitions), &state) { answer, state in
                if case .outbox(.partitions(let found)) = answer {
                    state.delivery.scanned(partitions, found)
                } else {
                    state.delivery.scanned(partitions, nil)
                }
            }
        case .take(let endpoint, let partition, let after, let recovers):
            let reader = self.readers[endpoint]
            self.request(
                .take(
                    partition: partition, reader, after: after, recovers: recovers,
                    limit: WebhookDelivery.takeLimit), &state
            ) { answer, state in
                var result: ([OutboxEntry]?, OutboxProgress) = (nil, .atEnd)
                if case .outbox(.taken(let entries, let progress)) = answer {
                    result = (entries, progress)
                }
                state.delivery.taken(
                    result.0, result.1, endpoint: endpoint, group: reader.group,
                    partition: partition,
                    now: Self.now)
            }
        case .begin(let endpoint, let partition, let position, let conversation):
            self.request(.begin(position, partition: partition, self.readers[endpoint]), &state) {
                answer, state in
                let event: Result<OutboxEvent?, StoreFailure> =
                    switch answer {
                    case .outbox(.event(let event)): .success(event)
                    case .failed(let failure): .failure(failure)
                    default: .failure(StoreFailure("the store answered something else"))
                    }
                var directives: [WebhookDelivery.WebhookDirective] = []
                state.delivery.begun(
                    event, endpoint: endpoint, partition: partition, position, conversation,
                    now: Self.now,
                    into: &directives)
                for directive in directives { self.execute(directive, &state) }
            }
        case .complete(let endpoint, let partition, let positions):
            self.request(.complete(positions, partition: partition, self.readers[endpoint]), &state)
            {
                answer, state in
                let succeeded = if case .outbox = answer { true } else { false }
                state.delivery.completed(
                    succeeded: succeeded, endpoint: endpoint, partition: partition, now: Self.now)
            }
        case .bury(let endpoint, let partition, let position, let attempts, let reason):
            self.logger.warning(
                "webhook event given up",
                [
                    "url": .text(self.settings.names[endpoint]),
                    "attempts": LogValue(attempts), "reason": .text(reason),
                ])
            self.request(
                .bury(
                    position, partition: partition, self.readers[endpoint], attempts: attempts,
                    reason: reason, at: WallClock.now), &state
            ) { answer, state in
                let dropped: Int? =
                    if case .outbox(.done(let count)) = answer { count } else { nil }
                state.delivery.buried(
                    dropped: dropped, endpoint: endpoint, partition: partition, position,
                    now: Self.now)
            }
        case .send(let endpoint, let event):
            self.send(event, to: endpoint, &state)
        case .logGone(let endpoint):
            self.logger.error(
                "webhook disabled",
                [
                    "url": .text(self.settings.names[endpoint]),
                    "reason": "it answered 410; its events wait until the node starts again",
                ])
        }
    }

    func request(
        _ request: OutboxRequest, _ state: inout State,
        then handle: @escaping @Sendable (StoreAnswer, inout State) -> Void
    ) {
        guard let store = state.store else {
            let failure = StoreFailure("the webhooks have not started", effect: .none)
            return handle(.failed(failure), &state)
        }
        state.lastTicket += 1
        state.tickets[state.lastTicket] = { answer in
            self.state.with { handle(answer, &$0) }
            self.advance()
        }
        store.submit(.outbox(request), ticket: StoreTicket(rawValue: state.lastTicket), for: self)
    }

    public func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        self.loop.execute {
            let handle = self.state.with { $0.tickets.removeValue(forKey: ticket.rawValue) }
            handle?(answer)
        }
    }

    // MARK: Requests to endpoints

    private func send(_ event: OutboxEvent, to endpoint: Int, _ state: inout State) {
        guard let signer = state.signature else { return }
        let url = self.settings.urls[endpoint]
        let seconds = WallClock.now.seconds
        let signature = signer.value(
            id: event.id.string, seconds: seconds, body: event.body)
        let head = """
            POST \(url.target) HTTP/1.1\r
            Host: \(url.hostField)\r
            User-Agent: \(self.settings.userAgent)\r
            Content-Type: application/json\r
            Content-Length: \(event.body.count)\r
            webhook-id: \(event.id)\r
            webhook-timestamp: \(seconds)\r
            webhook-signature: \(signature)\r
            \r\n
            """
        let responses = state.endpoints[endpoint].send(
            Array(head.utf8) + event.body, for: event.conversation, now: .now)
        self.handle(responses, of: endpoint, &state)
    }

    /// Records responses, looks up the endpoint's name if needed, and updates the list of sockets.
    func handle(_ responses: [EndpointConnections.Response], of endpoint: Int, _ state: inout State)
    {
        for response in responses {
            var directives: [WebhookDelivery.WebhookDirective] = []
            state.delivery.responded(
                response.outcome, endpoint: endpoint, response.conversation, now: Self.now,
                random: .random(in: 0...1), into: &directives)
            for directive in directives { self.execute(directive, &state) }
        }
        for (token, connection) in state.endpoints[endpoint].takeNewTokens() {
            state.tokens[token] = (endpoint, connection)
        }
        for token in state.endpoints[endpoint].takeClosedTokens() { state.tokens[token] = nil }
        if state.endpoints[endpoint].takeLookup() {
            let url = self.settings.urls[endpoint]
            Resolver.resolve(host: url.host, port: url.port, on: self.loop) { found in
                self.loop.execute { self.resolved(found, of: endpoint) }
            }
        }
        if !responses.isEmpty { self.loop.execute { self.advance() } }
    }

    private func resolved(_ found: Result<[SocketAddress], SocketError>, of endpoint: Int) {
        self.state.with { state in
            let filter = self.settings.filter
            let responses = state.endpoints[endpoint].resolved(
                found, allowed: { filter.allows($0.ip) }, now: .now)
            self.handle(responses, of: endpoint, &state)
        }
    }
}
