import Bytes
import SocketIO

/// What must hold of any bytes: fed by the fuzzer (`script/fuzz socketio`) and by the corpus in the ordinary tests. Each check stops the
/// process when a rule is broken.
enum SocketProperty {
    /// Each line is an event of one connection: `B` a binary frame, `D` a disconnect of ours, `T` the time that a client has to CONNECT;
    /// anything else is a packet. Of three CONNECTs the second is refused.
    ///
    /// - Returns: whether the connection still lives.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        // What comes over Engine.IO is UTF-8.
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        var watched = CheckedSocketSession()
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            self.checkSpelling(Array(line))
            watched.execute(Array(line))
        }
        return watched.isAlive
    }

    /// A packet that is taken, written from its parts, is read as the same.
    private static func checkSpelling(_ text: [UInt8]) {
        let limits = SocketLimits()
        guard let packet = try? SocketPacket.parse(text.span.bytes, limits: limits) else { return }
        // No JSON begins so; behind a main namespace that is left out it would be taken for another one.
        if let payload = packet.payload, text[payload].first == UInt8(ascii: "/") { return }
        var written = ByteBuffer()
        let namespace = packet.namespace.map {
            ByteString(String(decoding: text[$0], as: UTF8.self))
        }
        written.append(
            socketPacket: packet.kind, attachmentCount: packet.attachmentCount,
            namespace: namespace, ackID: packet.ackID)
        if let payload = packet.payload { written.append(contentsOf: Array(text[payload])) }
        guard let again = try? SocketPacket.parse(written.bytes.span.bytes, limits: limits) else {
            preconditionFailure("What was written cannot be read: \(written.text)")
        }
        precondition(
            again.kind == packet.kind && again.ackID == packet.ackID
                && again.attachmentCount == packet.attachmentCount)
        precondition(
            packet.payload.map { Array(text[$0]) }
                == again.payload.map { Array(written.bytes[$0]) },
            "A payload changed: \(written.text)")
    }
}
