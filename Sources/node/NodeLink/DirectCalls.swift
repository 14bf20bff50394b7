import Bytes
import ClusterWire
import EventLoop

/// Asks other nodes at their admin addresses, for times in which Redis carries no messages.
///
/// A question is a sealed `ControlMessage` in the body of `POST /api/node`, and so is its answer.
/// It runs on the node's first loop and waits for none of its sockets.
final class DirectCalls: EventLoopHandler {
    typealias Reply = @Sendable (Result<[UInt8], DirectCallError>) -> Void

    private struct Exchange {
        let address: String
        let deadline: Int64
        var unsent: ArraySlice<UInt8>
        var response: [UInt8] = []
        let reply: Reply
    }

    static let path = "/api/node"
    static let timeout: Int64 = 1300
    private static let exchangeLimit = 256
    private static let byteLimit = ControlMessage.byteLimit + 4096

    private let loop: EventLoop
    private let exchanges: LoopBound<[SocketToken: Exchange]>

    init(on loop: EventLoop) {
        self.loop = loop
        self.exchanges = LoopBound([:], on: loop)
    }

    /// On the loop.
    func post(_ body: [UInt8], to address: String, reply: @escaping Reply) {
        guard let parts = HostPort(address[...]), let port = parts.port,
            let target = SocketAddress(literal: String(parts.host), port: port)
        else { return reply(.failure(.noHost(address))) }
        guard self.exchanges.with({ $0.count < Self.exchangeLimit }) else {
            return reply(.failure(.timeout(address)))
        }
        let head =
            "POST \(Self.path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n"
            + "Content-Type: application/octet-stream\r\nContent-Length: \(body.count)\r\n\r\n"
        do throws(SocketError) {
            let socket = try Socket.connect(to: target)
            let token: SocketToken
            do throws(SocketError) {
                token = try self.loop.register(
                    socket.descriptor, read: true, write: true, for: self)
            } catch {
                socket.close()
                throw error
            }
            let exchange = Exchange(
                address: address, deadline: NodeAgent.now + Self.timeout,
                unsent: (Array(head.utf8) + body)[...], reply: reply)
            self.exchanges.with { $0[token] = exchange }
        } catch {
            reply(.failure(.unreachable(address, reason: error.description)))
        }
    }

    // MARK: Loop

    func tick(now: MonotonicTime) {
        let now = now.nanoseconds / 1_000_000
        let expired = self.exchanges.with { $0.filter { $0.value.deadline <= now } }
        for (token, exchange) in expired {
            self.finish(token, .failure(.timeout(exchange.address)))
        }
    }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        guard let socket = self.loop.socket(token),
            let address = self.exchanges.with({ $0[token]?.address })
        else { return }
        if writable {
            if let error = socket.connectError {
                return self.finish(
                    token, .failure(.unreachable(address, reason: error.description)))
            }
            self.write(to: socket, token)
        }
        if readable { self.read(from: socket, token, address) }
    }

    private func write(to socket: Socket, _ token: SocketToken) {
        let isSent = self.exchanges.with { exchanges in
            guard var exchange = exchanges[token] else { return true }
            defer { exchanges[token] = exchange }
            while !exchange.unsent.isEmpty {
                let result = exchange.unsent.withUnsafeBytes { socket.write($0) }
                // After a failure, reading reports the end of the connection.
                guard case .bytes(let count) = result else { return false }
                exchange.unsent = exchange.unsent.dropFirst(count)
            }
            return true
        }
        if isSent { self.loop.setInterest(token, read: true, write: false) }
    }

    private func read(from socket: Socket, _ token: SocketToken, _ address: String) {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            switch chunk.withUnsafeMutableBytes({ socket.read(into: $0) }) {
            case .bytes(let count):
                let total = self.exchanges.with { exchanges in
                    exchanges[token]?.response += chunk[..<count]
                    return exchanges[token]?.response.count ?? 0
                }
                guard total <= Self.byteLimit else {
                    return self.finish(token, .failure(.unreadable(address)))
                }
            case .wouldBlock: return
            case .endOfStream, .failed:
                let response = self.exchanges.with { $0[token]?.response ?? [] }
                return self.finish(token, Self.result(of: response, address))
            }
        }
    }

    private static func result(of response: [UInt8], _ address: String)
        -> Result<[UInt8], DirectCallError>
    {
        guard !response.isEmpty else {
            return .failure(.unreachable(address, reason: "the connection was closed"))
        }
        guard let reply = DirectReply(response) else { return .failure(.unreadable(address)) }
        return reply.status == 200
            ? .success(reply.body) : .failure(.rejected(address, status: reply.status))
    }

    private func finish(_ token: SocketToken, _ result: Result<[UInt8], DirectCallError>) {
        guard let exchange = self.exchanges.with({ $0.removeValue(forKey: token) }) else { return }
        self.loop.close(token)
        exchange.reply(result)
    }
}
