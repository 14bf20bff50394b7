internal import Bytes
internal import ChatModel
internal import Configuration
internal import EventLoop
internal import HTTPClient
internal import TLS

/// The connections to one endpoint, and the requests that wait for its addresses.
struct EndpointConnections {
    struct Response {
        let conversation: ConversationKey
        let outcome: WebhookOutcome
    }

    private struct EndpointRequest {
        let conversation: ConversationKey
        let bytes: [UInt8]
        /// When it ends, even if the name is still being looked up.
        let deadline: MonotonicTime
    }

    private let url: WebhookURL
    private let tls: TLSContext?
    private let loop: EventLoop
    private var connections: [Int: HTTPConnection<WebhookAnswer>] = [:]
    private var requests: [Int: EndpointRequest] = [:]
    private var lastConnection = 0
    /// Requests that wait for the addresses.
    private var waiting: [EndpointRequest] = []
    private var addresses: [SocketAddress] = []
    private var addressesExpireAt = MonotonicTime(nanoseconds: 0)
    private var isLookingUp = false
    private var needsLookup = false
    /// The token under which each connection was last announced.
    private var tokens: [Int: SocketToken] = [:]
    private var newTokens: [(SocketToken, Int)] = []
    private var closedTokens: [SocketToken] = []

    /// From the first connect to the status.
    private static let requestTimeout = Duration.seconds(15)
    /// Shorter than common servers keep an idle connection.
    private static let idleTimeout = Duration.seconds(4)
    /// How long addresses are used without another lookup.
    private static let addressLifetime = Duration.seconds(10)
    private static let idleLimit = 4

    init(to url: WebhookURL, tls: TLSContext?, on loop: EventLoop) {
        self.url = url
        self.tls = tls
        self.loop = loop
    }

    mutating func send(_ bytes: [UInt8], for conversation: ConversationKey, now: MonotonicTime)
        -> [Response]
    {
        let request = EndpointRequest(
            conversation: conversation, bytes: bytes,
            deadline: now.advanced(by: Self.requestTimeout))
        return self.start(request, mayReuse: true, now: now)
    }

    private mutating func start(_ request: EndpointRequest, mayReuse: Bool, now: MonotonicTime)
        -> [Response]
    {
        if mayReuse, let idle = self.connections.first(where: { $0.value.isIdle })?.key {
            return self.start(request, on: idle, now: now)
        }
        guard now < self.addressesExpireAt else {
            self.waiting.append(request)
            if !self.isLookingUp {
                self.isLookingUp = true
                self.needsLookup = true
            }
            return []
        }
        self.lastConnection += 1
        self.connections[self.lastConnection] = HTTPConnection(
            to: self.url.host, tls: self.url.isSecure ? self.tls : nil, on: self.loop,
            idleTimeout: Self.idleTimeout)
        return self.start(request, on: self.lastConnection, now: now)
    }

    private mutating func start(_ request: EndpointRequest, on connection: Int, now: MonotonicTime)
        -> [Response]
    {
        self.requests[connection] = request
        let result = self.connections[connection]?.send(
            request.bytes, to: self.addresses, reading: WebhookAnswer(),
            until: now.advanced(by: Self.requestTimeout))
        return self.finish(connection, result ?? nil, now: now)
    }

    /// - Parameter allowed: whether an address may be connected to.
    mutating func resolved(
        _ found: Result<[SocketAddress], SocketError>, allowed: (SocketAddress) -> Bool,
        now: MonotonicTime
    ) -> [Response] {
        self.isLookingUp = false
        let waiting = self.waiting
        self.waiting = []
        let reason: String
        switch found {
        case .success(let addresses):
            self.addresses = addresses.filter(allowed)
            guard self.addresses.isEmpty else {
                self.addressesExpireAt = now.advanced(by: Self.addressLifetime)
                return waiting.flatMap { self.start($0, mayReuse: true, now: now) }
            }
            let text = addresses.prefix(3).map(\.host).joined(separator: ", ")
            reason = "the address \(text) is not public, and --webhook-allow does not list it"
        case .failure(let error): reason = "\(error)"
        }
        return waiting.map { Response(conversation: $0.conversation, outcome: .failed(reason)) }
    }

    mutating func socketReady(
        _ connection: Int, readable: Bool, writable: Bool, now: MonotonicTime
    ) -> [Response] {
        let result = self.connections[connection]?.socketReady(
            readable: readable, writable: writable)
        return self.finish(connection, result ?? nil, now: now)
    }

    mutating func tick(now: MonotonicTime) -> [Response] {
        var responses: [Response] = []
        for connection in Array(self.connections.keys) {
            let result = self.connections[connection]?.tick(now: now)
            responses += self.finish(connection, result ?? nil, now: now)
        }
        for request in self.waiting where now >= request.deadline {
            responses.append(
                Response(
                    conversation: request.conversation,
                    outcome: .failed("\(self.url.host) was not resolved within 15 seconds")))
        }
        self.waiting.removeAll { now >= $0.deadline }
        return responses
    }

    private mutating func finish(
        _ connection: Int, _ result: HTTPConnectionResult<WebhookOutcome>?, now: MonotonicTime
    ) -> [Response] {
        self.recordToken(of: connection)
        var responses: [Response] = []
        if let result, let request = self.requests.removeValue(forKey: connection) {
            let outcome: WebhookOutcome?
            switch result {
            case .answer(let answer): outcome = answer
            case .unreachable(let reason), .broken(let reason): outcome = .failed(reason)
            case .timeout:
                let seconds = Self.requestTimeout.components.seconds
                outcome = .failed("no answer within \(seconds) seconds")
            case .stale: outcome = nil
            }
            if let outcome {
                responses.append(Response(conversation: request.conversation, outcome: outcome))
            } else {
                responses += self.start(request, mayReuse: false, now: now)
            }
        }
        let idle = self.connections.count { $0.value.isIdle }
        if idle > Self.idleLimit, self.connections[connection]?.isIdle == true {
            self.connections[connection]?.end()
            self.recordToken(of: connection)
        }
        if self.connections[connection]?.isEnded == true { self.connections[connection] = nil }
        return responses
    }

    private mutating func recordToken(of connection: Int) {
        let token = self.connections[connection]?.token
        guard token != self.tokens[connection] else { return }
        if let old = self.tokens[connection] { self.closedTokens.append(old) }
        if let token { self.newTokens.append((token, connection)) }
        self.tokens[connection] = token
    }

    // MARK: For the shell

    mutating func takeLookup() -> Bool {
        defer { self.needsLookup = false }
        return self.needsLookup
    }

    mutating func takeNewTokens() -> [(SocketToken, Int)] {
        defer { self.newTokens = [] }
        return self.newTokens
    }

    mutating func takeClosedTokens() -> [SocketToken] {
        defer { self.closedTokens = [] }
        return self.closedTokens
    }
}
