internal import Bytes

/// How this protocol calls what is made in it.
enum RoomID {
    private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)

    /// From the system's secure source: whoever has an id may come in, so that none must tell of another.
    static func random() -> ByteString {
        ByteString(
            String(decoding: (0..<8).map { _ in self.alphabet.randomElement()! }, as: UTF8.self))
    }
}
