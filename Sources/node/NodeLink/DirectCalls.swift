import Bytes
import ClusterWire
import EventLoop
import HTTPClient
import HTTPWire

/// Asks other nodes at their admin addresses, for times in which Redis carries no messages.
///
/// A question is a sealed `ControlMessage` in the body of `POST /api/node`, and so is its answer.
/// It runs on the node's first loop and waits for none of its sockets.
final class DirectCalls: EventLoopHandler {
    typealias Reply = @Sendable (Result<[UInt8], DirectCallError>) -> Void

    private struct DirectCall {
        let address: String
        var connection: HTTPConnection<HTTPResponseReader>
        let reply: Reply
    }

    static let path = "/api/node"
    static let timeout: Int64 = 1300
    private static let callLimit = 256
    private static let byteLimit = ControlMessage.byteLimit + 4096

    private let loop: EventLoop
    private let calls: LoopBound<[SocketToken: DirectCall]>

    init(on loop: EventLoop) {
        self.loop = loop
        self.calls = LoopBound([:], on: loop)
    }

    /// On the loop.
    func post(_ body: [UInt8], to address: String, reply: @escaping Reply) {
        guard let parts = HostPort(address[...]), let port = parts.port,
            let target = SocketAddress(literal: String(parts.host), port: port)
        else { return reply(.failure(.noHost(address))) }
        guard self.calls.with({ $0.count < Self.callLimit }) else {
            return reply(.failure(.timeout(address)))
        }
        let head =
            "POST \(Self.path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n"
            + "Content-Type: application/octet-stream\r\nContent-Length: \(body.count)\r\n\r\n"
        var connection = HTTPConnection<HTTPResponseReader>(
            to: String(parts.host), tls: nil, on: self.loop, for: self)
        let result = connection.send(
            Array(head.utf8) + body, to: [target],
            reading: HTTPResponseReader(byteLimit: Self.byteLimit),
            until: .now.advanced(by: .milliseconds(Self.timeout)))
        if let result { return reply(Self.result(result, at: address)) }
        guard let token = connection.token else { return }
        self.calls.with {
            $0[token] = DirectCall(address: address, connection: connection, reply: reply)
        }
    }

    // MARK: Loop

    func tick(now: MonotonicTime) {
        for token in self.calls.with({ Array($0.keys) }) {
            self.finish(token, self.calls.with { $0[token]?.connection.tick(now: now) })
        }
    }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        let result = self.calls.with {
            $0[token]?.connection.socketReady(readable: readable, writable: writable)
        }
        self.finish(token, result)
    }

    private func finish(
        _ token: SocketToken, _ result: HTTPConnectionResult<HTTPResponseReader.Answer>?
    ) {
        guard let result, let call = self.calls.with({ $0.removeValue(forKey: token) }) else {
            return
        }
        call.reply(Self.result(result, at: call.address))
    }

    static func result(
        _ result: HTTPConnectionResult<HTTPResponseReader.Answer>, at address: String
    ) -> Result<[UInt8], DirectCallError> {
        switch result {
        case .answer(.success(let response)) where response.isDelimited:
            response.status == 200
                ? .success(response.body) : .failure(.rejected(address, status: response.status))
        case .answer(.failure(.missing)), .broken, .stale:
            .failure(.unreachable(address, reason: "the connection was closed"))
        case .answer: .failure(.unreadable(address))
        case .unreachable(let reason): .failure(.unreachable(address, reason: reason))
        case .timeout: .failure(.timeout(address))
        }
    }
}
