import Bytes
import EventLoop
public import SimulatedNetwork

/// A simulated Redis on a simulated machine: it accepts connections and passes their bytes on.
public final class SimulatedRedisProcess: SimulatedProcess {
    private let redis: SimulatedRedis
    private let listener: ListeningSocket
    private var connections: [(id: Int, socket: Socket, unsent: [UInt8])] = []
    private var acceptedCount = 0

    /// Listens on port 6379 of the machine. The server keeps its data, not its connections.
    public init(_ redis: SimulatedRedis, on host: SimulatedHost) throws {
        self.redis = redis
        redis.disconnectAll()
        self.listener = try ListeningSocket.open(host: host.address, port: 6379)
    }

    public func run() -> Int64? {
        while case .accepted(let socket, _) = self.listener.accept() {
            self.acceptedCount += 1
            self.connections.append((self.acceptedCount, socket, []))
        }
        let now = WallClock.nanoseconds / 1000
        var lost: Set<Int> = []
        for index in self.connections.indices {
            if !self.read(self.connections[index], at: now) {
                lost.insert(self.connections[index].id)
            }
        }
        // A command of one connection may have published to others.
        for index in self.connections.indices where !lost.contains(self.connections[index].id) {
            if !self.write(&self.connections[index]) { lost.insert(self.connections[index].id) }
        }
        for connection in self.connections where lost.contains(connection.id) {
            self.redis.disconnect(connection.id)
            connection.socket.close()
        }
        self.connections.removeAll { lost.contains($0.id) }
        return nil
    }

    /// Returns false if the connection has ended.
    private func read(_ connection: (id: Int, socket: Socket, unsent: [UInt8]), at now: Int64)
        -> Bool
    {
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) { buffer in
            while true {
                switch connection.socket.read(into: buffer) {
                case .bytes(let count):
                    self.redis.receive(
                        UnsafeRawBufferPointer(rebasing: buffer[..<count]), from: connection.id,
                        at: now)
                case .wouldBlock: return true
                case .endOfStream, .failed: return false
                }
            }
        }
    }

    private func write(_ connection: inout (id: Int, socket: Socket, unsent: [UInt8])) -> Bool {
        connection.unsent += self.redis.takeOutput(of: connection.id)
        while !connection.unsent.isEmpty {
            switch connection.unsent.withUnsafeBytes({ connection.socket.write($0) }) {
            case .bytes(let count): connection.unsent.removeFirst(count)
            case .wouldBlock: return true
            case .endOfStream, .failed: return false
            }
        }
        return true
    }
}
