import Bytes
import ChatCore
import ChatModel
import Configuration
import EngineIO
import EngineTransport
import EventLoop
import HTTPWire

/// Writes frames for connections without a socket. The connection pool knows nothing else of their
/// transport.
protocol PollingTransport: AnyObject {
    /// How long a client may fetch the remaining packets after its session was closed.
    var closeTimeout: Duration { get }
    /// Appends frames for the next poll.
    ///
    /// - Parameter bytes: server frames, as they would be written to a socket.
    /// - Returns: how many bytes were accepted.
    func write(_ bytes: UnsafeRawBufferPointer, to connection: Connection) -> Int
    /// Whether the client has not received everything that `write` has accepted.
    func hasWaitingPackets(_ connection: Connection) -> Bool
    /// Whether the frame at this offset must be in the same response as the one before it.
    func staysWithPrevious(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool
}

/// The Engine.IO server of one loop, and the dialect that uses it.
///
/// A class, because the connection pool writes to polling sessions while the loop's state is in
/// use. No call into the server calls back.
final class EngineIOState: PollingTransport {
    let endpoint: EngineEndpoint
    private let context: LoopContext
    @exclusivity(unchecked) var server: EngineServer
    /// The WebSockets that take over a polling session at the end of the turn, and the sessions'
    /// connections.
    @exclusivity(unchecked) var takeovers: [(socket: SocketToken, session: SocketToken)] = []

    init(_ endpoint: EngineEndpoint, _ context: LoopContext) {
        self.endpoint = endpoint
        self.context = context
        self.server = EngineServer(
            endpoint.settings, loop: context.index, loopCount: context.settings.loopCount,
            node: context.settings.incarnation)
    }

    var closeTimeout: Duration { .milliseconds(self.endpoint.settings.closeTimeout) }

    func write(_ bytes: UnsafeRawBufferPointer, to connection: Connection) -> Int {
        guard let webSocket = connection.webSocket else { return 0 }
        let now = self.context.now.monotonic
        let rate = self.context.rate(of: webSocket, connection)
        let isFull = !rate.mayRetainEvents(self.context.live.limits.outboundBytes)
        defer { rate.setUnpolled(self.server.waitingBytes(connection.token)) }
        var offset = 0
        while let frame = WrittenFrame(bytes, at: offset) {
            if let content = self.engineFrame(frame, in: bytes),
                !self.server.write(content, to: connection.token, onlyIfEmpty: isFull, at: now)
            {
                break
            }
            offset = frame.end
        }
        return offset
    }

    func hasWaitingPackets(_ connection: Connection) -> Bool {
        self.server.hasWaitingPackets(connection.token)
    }

    func staysWithPrevious(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        WrittenFrame(bytes, at: offset).map { self.endpoint.isCompanion($0, in: bytes) } ?? false
    }

    /// The frame for a polling client; nil for a ping or a pong, which are for sockets only.
    private func engineFrame(_ frame: WrittenFrame, in bytes: UnsafeRawBufferPointer)
        -> EngineFrame?
    {
        switch frame.opcode {
        case .text:
            return .packet(
                SharedPacket(SharedFrame(Array(bytes[frame.payload]))),
                staysWithPrevious: self.endpoint.isCompanion(frame, in: bytes))
        case .close:
            let (code, reason) = frame.closeStatus(in: bytes)
            return .close(code: code, reason: reason)
        default: return nil
        }
    }
}
