import EventLoop
import HTTPClient
import HTTPWire
import JSON
import Synchronization
import TLS

/// The requests of a client to the REST API, each over its own connection on the client's loop.
final class RESTClientLoop: EventLoopHandler {
    private typealias Exchange = Result<HTTPClientResponse, ConfabError>

    private struct Waiting {
        var lastID = 0
        var isClosed = false
        var calls: [Int: CheckedContinuation<Exchange, Never>] = [:]
    }

    private let loop: EventLoop
    private let server: ChatURL
    private let tls: TLSContext?
    private let token: ConfabToken
    private let waiting = Mutex(Waiting())
    private let connections: LoopBound<[Int: HTTPConnection<HTTPResponseReader>]>

    private static let requestTimeout = Duration.seconds(30)
    /// A page of messages has up to 256 KiB of text, and a list up to 5,000 participants.
    private static let responseByteLimit = 32 << 20
    private static let valueLimit = 1 << 20

    init(to server: ChatURL, on loop: EventLoop, tls: TLSContext?, token: ConfabToken) {
        self.server = server
        self.loop = loop
        self.tls = tls
        self.token = token
        self.connections = LoopBound([:], on: loop)
        loop.execute { loop.registerHandler(self) }
    }

    /// Sends a request and returns the JSON object of a success. A rejected token is renewed once.
    func send(_ request: RESTRequest) async throws(ConfabError) -> JSONTree {
        let token = self.token.text
        guard token != nil || !request.needsToken else {
            throw .refused("token: without one only the list of conversations is available")
        }
        var response = try await self.exchange(request, token)
        if response.status == 401, self.token.canRenew {
            // Another request may have renewed it meanwhile.
            if self.token.text == token {
                if case .failure(let error) = await self.token.renewed() {
                    if error is CancellationError { throw .cancelled }
                    throw .unavailable(reason: "token: cannot renew it: \(error)")
                }
            }
            response = try await self.exchange(request, self.token.text)
        }
        let tree = JSONTree.frame(response.body, valueLimit: Self.valueLimit)
        guard 200...299 ~= response.status else { throw Self.error(response, tree) }
        guard let tree else {
            throw .unavailable(
                reason: "The server's answer to \(request.method) is not a JSON object.")
        }
        return tree
    }

    private static func error(_ response: HTTPClientResponse, _ tree: JSONTree?) -> ConfabError {
        let reason = tree?["error"]?.stringValue.map { SafeText.line($0, limit: 500) }
        let text = reason ?? "The server answers with status \(response.status)."
        switch response.status {
        case 410: return .ended
        case 408, 429, 500...:
            let seconds = response.field("retry-after").flatMap { Int($0) }.flatMap {
                $0 >= 0 ? $0 : nil
            }
            return .unavailable(reason: text, retryAfter: seconds.map { .seconds($0) })
        default: return .refused(text)
        }
    }

    // MARK: One exchange

    private func exchange(_ request: RESTRequest, _ token: String?) async throws(ConfabError)
        -> HTTPClientResponse
    {
        guard token?.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) != false else {
            throw .refused("token: it has characters that no token has")
        }
        let bytes = request.bytes(to: self.server, token: token)
        let id = self.waiting.withLock { waiting in
            waiting.lastID += 1
            return waiting.lastID
        }
        let result: Exchange = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let failure: ConfabError? = self.waiting.withLock { waiting in
                    if Task.isCancelled { return .cancelled }
                    if waiting.isClosed { return .closed }
                    waiting.calls[id] = continuation
                    return nil
                }
                if let failure { return continuation.resume(returning: .failure(failure)) }
                self.loop.execute { self.connect(id, bytes) }
            }
        } onCancel: {
            self.finish(id, .failure(.cancelled))
            self.loop.execute {
                self.connections.with { connections in
                    connections[id]?.end()
                    connections[id] = nil
                }
            }
        }
        return try result.get()
    }

    private func connect(_ id: Int, _ bytes: [UInt8]) {
        let url = self.server.url
        Resolver.resolve(host: url.host, port: url.port, on: self.loop) { result in
            // A cancelled call needs no connection.
            guard self.waiting.withLock({ $0.calls[id] != nil }) else { return }
            switch result {
            case .failure(let error): self.finish(id, self.unreachable(error.description))
            case .success(let addresses):
                var connection = HTTPConnection<HTTPResponseReader>(
                    to: url.host, tls: self.tls, on: self.loop, for: self)
                let result = connection.send(
                    bytes, to: addresses,
                    reading: HTTPResponseReader(byteLimit: Self.responseByteLimit),
                    until: .now.advanced(by: Self.requestTimeout))
                self.connections.with { $0[id] = connection }
                self.finish([(id, result)])
            }
        }
    }

    private func finish(
        _ results: [(Int, HTTPConnectionResult<HTTPResponseReader.Answer>?)]
    ) {
        for case (let id, let result?) in results {
            self.connections.with { $0[id] = nil }
            switch result {
            case .answer(.success(let response)): self.finish(id, .success(response))
            case .answer(.failure(.tooLong)):
                self.finish(id, .failure(.refused("The server's answer is too long.")))
            case .answer(.failure(.missing)), .answer(.failure(.malformed)), .stale:
                self.finish(id, self.unreachable("the answer is incomplete or not HTTP"))
            case .unreachable(let reason), .broken(let reason):
                self.finish(id, self.unreachable(reason))
            case .timeout:
                let seconds = Self.requestTimeout.components.seconds
                self.finish(id, self.unreachable("no answer within \(seconds) seconds"))
            }
        }
    }

    private func unreachable(_ reason: String) -> Exchange {
        let url = self.server.url
        return .failure(
            .unavailable(
                reason: "cannot reach \(url.isSecure ? "https" : "http")://\(url.hostField): "
                    + reason))
    }

    private func finish(_ id: Int, _ result: Exchange) {
        let call = self.waiting.withLock { $0.calls.removeValue(forKey: id) }
        call?.resume(returning: result)
    }

    // MARK: The loop

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        let results = self.connections.with { connections in
            connections.keys.filter { connections[$0]?.token == token }.map { id in
                (id, connections[id]?.socketReady(readable: readable, writable: writable) ?? nil)
            }
        }
        self.finish(results)
    }

    func tick(now: MonotonicTime) {
        let results = self.connections.with { connections in
            Array(connections.keys).map { ($0, connections[$0]?.tick(now: now) ?? nil) }
        }
        self.finish(results)
    }

    func loopStopping() {
        let calls = self.waiting.withLock { waiting in
            waiting.isClosed = true
            defer { waiting.calls = [:] }
            return waiting.calls
        }
        for call in calls.values { call.resume(returning: .failure(.closed)) }
    }
}
