import EngineIO
import JSON
import Testing

@testable import SocketIO

/// Checks that a frame of the server is one message of Engine.IO with one packet of Socket.IO.
enum PacketRule {
    private static let events: Set<String> = [
        "offset", "error", "authenticated", "conversation_state", "new_message", "user_joined",
        "user_left", "user_typing", "presence",
        "conversation_ended",
    ]

    /// Returns the steps unchanged after checking their frames.
    static func checked(_ steps: [String]) -> [String] {
        for step in steps
        where step.utf8.first.map({ $0 < UInt8(ascii: "a") || $0 > UInt8(ascii: "z") }) ?? true {
            self.check(step)
        }
        return steps
    }

    static func check(_ frame: String) {
        let bytes = Array(frame.utf8)
        #expect(!bytes.contains(0x1E), "A frame contains a separator: \(frame)")
        do {
            let packet = try EnginePacket.parse(0..<bytes.count, of: bytes.span.bytes)
            try #require(packet.kind == .message && !packet.isBinary, "\(frame)")
            let text = Array(bytes[packet.data])
            let inner = try SocketPacket.parse(text.span.bytes, limits: SocketLimits())
            var document = JSONDocument()
            #expect(try inner.readPayload(in: text.span.bytes, into: &document) == nil, "\(frame)")
            let payload = try inner.payload.map { try JSONTree(parsing: text[$0]) }
            switch inner.kind {
            case .connect: #expect(payload?["sid"]?.stringValue?.isEmpty == false, "\(frame)")
            case .connectError:
                #expect(payload?["message"]?.stringValue?.isEmpty == false, "\(frame)")
            case .disconnect: break
            case .event:
                let elements = try #require(payload?.elements)
                #expect(
                    elements.count == 2
                        && elements[0].stringValue.map(self.events.contains) == true, "\(frame)")
                // Clients take any last string argument as the offset.
                #expect(
                    (elements[1].stringValue != nil) == (elements[0].stringValue == "offset"),
                    "\(frame)")
            case .ack:
                #expect(
                    payload?.elements?.count == 1 && payload?.elements?[0]["ok"]?.boolValue != nil,
                    "\(frame)")
            case .binaryEvent, .binaryAck: Issue.record("\(frame)")
            }
        } catch {
            Issue.record("\(error): \(frame)")
        }
    }
}

extension JSONTree {
    fileprivate init(parsing bytes: ArraySlice<UInt8>) throws {
        try self.init(parsing: Array(bytes).span.bytes)
    }
}
