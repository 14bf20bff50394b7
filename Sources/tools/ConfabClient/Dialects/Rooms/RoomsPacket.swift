import Bytes
import EngineIO
import JSON
import SocketIO

/// A packet of the server: Socket.IO v5 inside Engine.IO v4, in WebSocket frames.
enum RoomsPacket: Equatable {
    /// The Engine.IO connection is open; the client sends CONNECT.
    case open
    /// The client answers with a pong that has the same data.
    case ping(String)
    /// Socket.IO is connected; `pid` is set if the connection can be recovered.
    case connected(pid: String?)
    case refused(String)
    case disconnected
    /// An event; if its last argument is a string, that is the offset to recover from.
    case event(name: String, JSONTree?, offset: String?)
    case acknowledged(id: Int, JSONTree)
    /// A packet that needs no action.
    case other

    /// Returns nil when it is not a packet.
    init?(_ text: [UInt8]) {
        let bytes = text.span.bytes
        guard let engine = try? EnginePacket.parse(0..<bytes.byteCount, of: bytes), !engine.isBinary
        else { return nil }
        let data = bytes.extracting(engine.data)
        switch engine.kind {
        case .open:
            guard (try? JSONTree(parsing: data))?["sid"]?.stringValue != nil else { return nil }
            self = .open
        case .ping: self = .ping(data.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
        case .message:
            guard let packet = Self.message(data) else { return nil }
            self = packet
        case .close, .noop, .pong, .upgrade: self = .other
        }
    }

    private static func message(_ data: RawSpan) -> RoomsPacket? {
        guard let packet = try? SocketPacket.parse(data, limits: SocketLimits()) else { return nil }
        // The client only uses the main namespace.
        guard packet.namespace == nil else { return .other }
        let payload = packet.payload.flatMap { try? JSONTree(parsing: data.extracting($0)) }
        switch packet.kind {
        case .connect:
            guard payload?["sid"]?.stringValue != nil else { return nil }
            return .connected(pid: payload?["pid"]?.stringValue)
        case .connectError:
            guard let payload else { return nil }
            return .refused(
                payload["message"]?.stringValue ?? payload.stringValue ?? "no reason was given")
        case .disconnect: return .disconnected
        case .event:
            guard let elements = payload?.elements, let name = elements.first?.stringValue else {
                return nil
            }
            let arguments = elements.dropFirst()
            return .event(name: name, arguments.first, offset: arguments.last?.stringValue)
        case .ack:
            guard let id = packet.ackID, let elements = payload?.elements,
                let answer = elements.first
            else { return nil }
            return .acknowledged(id: id, answer)
        case .binaryEvent, .binaryAck: return nil
        }
    }

    // MARK: Packets of the client

    static func pong(_ data: String) -> String { "3\(data)" }
    static let disconnect = "41"

    /// The CONNECT packet of Socket.IO, in an Engine.IO message.
    static func connect(_ auth: [JSONTree.ObjectMember]) -> String {
        auth.isEmpty ? "40" : "40\(JSONTree.object(auth).text)"
    }

    /// - Parameter ackID: the id of the acknowledgement; nil to request none.
    static func emit(_ event: String, _ argument: JSONTree, ackID: Int?) -> String {
        "42\(ackID.map { String($0) } ?? "")\(JSONTree.array([.string(event), argument]).text)"
    }
}
