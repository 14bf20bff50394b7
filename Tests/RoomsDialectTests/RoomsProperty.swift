import Bytes
import DialectKit
import DialectTestSupport
import EngineIO
import Identity
import JSON
import RoomsDialect
import SocketIO

/// Properties that hold for any packets of a client. The fuzzer (`script/fuzz rooms`) and the
/// corpus tests check them. A failed check stops the process.
enum RoomsProperty {
    /// The frames that the client has received.
    private final class ConnectionWatch {
        var isConnected = false
        var pid = ""
        var ackIDs: [Int: Int] = [:]
    }

    /// With a first line `anonymous`, the client has no token and needs none. `$` stands for the
    /// recovery token of the client.
    ///
    /// - Returns: whether a packet caused a request to the chat.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map
        { Array($0) }
        let isAnonymous = lines.first == Array("anonymous".utf8)
        if isAnonymous { lines.removeFirst() }
        let request = DialectRequest(
            path: ["socket.io"], query: [],
            credentials: isAnonymous
                ? .none : .bearer(Identity(user: "alice", displayName: "Alice", grants: .all)),
            allowsAnonymous: isAnonymous, now: Timestamp(milliseconds: 0))
        let watch = ConnectionWatch()
        let key = RecoveryKey(derivedFrom: [1, 2, 3], cluster: "fuzz")
        var session = FuzzedSession(
            RoomsDialect(key: key), request, clientFrame: { self.recordInput($0, watch) },
            serverFrame: { self.checkFrame(at: $0, watch) })
        for line in lines {
            session.execute(line.flatMap { $0 == UInt8(ascii: "$") ? Array(watch.pid.utf8) : [$0] })
        }
        return session.hasRequested
    }

    /// Records a packet of the client.
    private static func recordInput(_ line: [UInt8], _ watch: ConnectionWatch) {
        guard let packet = try? SocketPacket.parse(line.span.bytes, limits: SocketLimits()),
            packet.namespace == nil
        else { return }
        switch packet.kind {
        case .disconnect: watch.isConnected = false
        case .event, .binaryEvent: if let id = packet.ackID { watch.ackIDs[id, default: 0] += 1 }
        default: break
        }
    }

    private static func checkFrame(at frame: [UInt8], _ watch: ConnectionWatch) {
        let text = String(decoding: frame, as: UTF8.self)
        precondition(!frame.contains(0x1E), "A separator was sent: \(text)")
        guard let outer = try? EnginePacket.parse(0..<frame.count, of: frame.span.bytes),
            outer.kind == .message, !outer.isBinary
        else {
            preconditionFailure("Not a message of Engine.IO: \(text)")
        }
        let inner = Array(frame[outer.data])
        guard let packet = try? SocketPacket.parse(inner.span.bytes, limits: SocketLimits()) else {
            preconditionFailure("Not a packet of Socket.IO: \(text)")
        }
        let payload = packet.payload.flatMap { try? JSONTree(parsing: Array(inner[$0]).span.bytes) }
        switch packet.kind {
        case .connect:
            precondition(!watch.isConnected && payload?["sid"]?.stringValue?.isEmpty == false, text)
            watch.pid = payload?["pid"]?.stringValue ?? ""
            watch.isConnected = true
        case .connectError:
            precondition(payload?["message"]?.stringValue?.isEmpty == false, text)
        case .disconnect:
            precondition(watch.isConnected, text)
            watch.isConnected = false
        case .event:
            precondition(watch.isConnected && payload?.elements?.count == 2, text)
            let isOffset = payload?.elements?[0].stringValue == "offset"
            precondition(
                (payload?.elements?[1].stringValue != nil) == isOffset,
                "An event ends with a string that is not the offset: \(text)")
        case .ack:
            precondition(
                watch.isConnected && payload?.elements?.count == 1
                    && payload?.elements?[0]["ok"]?.boolValue != nil, text)
            let left = watch.ackIDs[packet.ackID ?? -1, default: 0] - 1
            precondition(left >= 0, "More acknowledgements than requests: \(text)")
            watch.ackIDs[packet.ackID ?? -1] = left
        case .binaryEvent, .binaryAck:
            preconditionFailure("Binary data was sent: \(text)")
        }
    }
}
