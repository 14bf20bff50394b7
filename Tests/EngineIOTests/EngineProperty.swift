import Bytes
import EngineIO

/// What must hold of any bytes and of any order of events: fed by the fuzzer (`script/fuzz engineio`) and by the corpus in the ordinary
/// tests. Each check stops the process when a rule is broken.
enum EngineProperty {
    /// The first byte says what the rest is: a payload, a query, or events of a session one behind the other.
    ///
    /// - Returns: whether the bytes were taken; of a session, whether it still lives.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first else { return false }
        let rest = Array(bytes.dropFirst())
        return switch first {
        case UInt8(ascii: "p"): self.checkPayload(rest)
        case UInt8(ascii: "q"): self.checkQuery(rest)
        default: self.checkSession(rest)
        }
    }

    /// A payload's packets are what stands between its separators.
    private static func checkPayload(_ bytes: [UInt8]) -> Bool {
        let pieces = bytes.split(
            separator: EnginePayload.separator, omittingEmptySubsequences: false)
        do throws(EnginePacketError) {
            let count = try EnginePayload.validate(bytes.span.bytes, packetLimit: 1000)
            precondition(
                count == pieces.count, "A payload of \(pieces.count) pieces has \(count) packets.")
            var reader = EnginePayloadReader()
            for piece in pieces {
                guard let packet = try reader.next(in: bytes.span.bytes) else {
                    preconditionFailure("A payload ends too early.")
                }
                precondition(
                    bytes[packet.data].elementsEqual(piece.dropFirst()),
                    "A packet is read as another: \(packet)")
                precondition(
                    packet.isBinary
                        ? piece.first == UInt8(ascii: "b") : piece.first == packet.kind.typeByte,
                    "\(packet)")
            }
            precondition(
                String(validating: bytes, as: UTF8.self) != nil, "What is no UTF-8 was taken.")
            return true
        } catch {
            precondition(!error.description.isEmpty)
            return false
        }
    }

    /// What is taken can be written down again, and is then read as the same.
    private static func checkQuery(_ bytes: [UInt8]) -> Bool {
        var isTaken = false
        for method in [EngineMethod.get, .post, .other] {
            for isWebSocket in [false, true] {
                guard
                    let request = try? EngineRequest(
                        method, query: bytes.span.bytes, isWebSocket: isWebSocket)
                else { continue }
                isTaken = true
                let query =
                    switch request {
                    case .handshake(let transport): "EIO=4&transport=\(transport.rawValue)"
                    case .poll(let id), .post(let id): "EIO=4&transport=polling&sid=\(id)"
                    case .upgrade(let id): "EIO=4&transport=websocket&sid=\(id)"
                    }
                let again = try? EngineRequest(
                    method, query: Array(query.utf8).span.bytes, isWebSocket: isWebSocket)
                precondition(
                    again == request, "\(request) is read as \(String(describing: again)).")
            }
        }
        return isTaken
    }

    private static func checkSession(_ bytes: [UInt8]) -> Bool {
        var watched = CheckedEngineSession(bytes)
        while watched.executeNext() {}
        return watched.isAlive
    }
}
