public import Bytes

/// The ids of conversations that this API and operators create.
public enum RoomID {
    private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)

    /// From the system's secure source: everybody who has the id may join, so ids must be
    /// unpredictable.
    public static func random() -> ByteString {
        ByteString(
            String(decoding: (0..<8).map { _ in self.alphabet.randomElement()! }, as: UTF8.self))
    }
}
