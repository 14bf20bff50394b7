import Bytes
import SocketIO

/// Properties that hold for any bytes. The fuzzer (`script/fuzz socketio`) and the corpus tests
/// check them. A failed check stops the process.
enum SocketProperty {
    /// Each line is an event of one connection: `B` a binary frame, `D` a disconnect by the server,
    /// `T` the CONNECT timeout. Any other line is a packet. Every second of three CONNECTs is
    /// refused.
    ///
    /// - Returns: whether the connection is still alive.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        // Engine.IO passes only UTF-8.
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        var watched = CheckedSocketSession()
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            self.checkSpelling(Array(line))
            watched.execute(Array(line))
        }
        return watched.isAlive
    }

    /// An accepted packet that is written from its parts is parsed as the same packet.
    private static func checkSpelling(_ text: [UInt8]) {
        let limits = SocketLimits()
        guard let packet = try? SocketPacket.parse(text.span.bytes, limits: limits) else { return }
        // No JSON starts with a slash. After an omitted main namespace it would be parsed as a
        // namespace.
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
            preconditionFailure("A written packet cannot be parsed: \(written.text)")
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
