public import ChatModel

/// Message ids as text: canonical decimal numbers only.
public enum MessageID {
    /// Nil for anything but a canonical decimal: signs, leading zeros, spaces and numbers out of
    /// range are rejected.
    public static func sequence(_ text: String) -> SequenceNumber? {
        guard let first = text.utf8.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
        else { return nil }
        guard let number = SequenceNumber(text), first != UInt8(ascii: "0") || text.utf8.count == 1
        else { return nil }
        return number
    }
}
