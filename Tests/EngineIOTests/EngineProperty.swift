import Bytes
import EngineIO

/// Properties that hold for any bytes and any order of events. The fuzzer (`script/fuzz engineio`)
/// and the corpus tests check them. A failed check stops the process.
enum EngineProperty {
    /// The first byte selects the rest: a payload, a query, or a sequence of session events.
    ///
    /// - Returns: whether the bytes were accepted; for a session, whether it is still alive.
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

    /// The packets of a payload are the pieces between its separators.
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
                    "A packet is parsed as another: \(packet)")
                precondition(
                    packet.isBinary
                        ? piece.first == UInt8(ascii: "b") : piece.first == packet.kind.typeByte,
                    "\(packet)")
            }
            precondition(
                String(validating: bytes, as: UTF8.self) != nil, "Invalid UTF-8 was accepted.")
            return true
        } catch {
            precondition(!error.description.isEmpty)
            return false
        }
    }

    /// An accepted query can be written again and is then parsed as the same request.
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
