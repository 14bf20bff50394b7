public import ChatModel
import Configuration
import TestKit

/// Frames of the Conversations protocol that tests send and look for.
public enum ConversationsFrames {
    public static func message(_ content: String, as localID: String? = nil) -> String {
        let id = localID.map { #","local_id":\#(jsonString($0))"# } ?? ""
        return #"{"action":"send_message","content":\#(jsonString(content))\#(id)}"#
    }

    /// The id of a `chat_message`; nil for any other frame.
    public static func id(of text: String) -> Int? {
        let start = #"{"type":"chat_message","message":{"id":""#
        guard text.hasPrefix(start) else { return nil }
        return Int(text.dropFirst(start.count).prefix { $0 != "\"" })
    }

    /// The ids of the messages among these frames, in their order.
    public static func ids(of texts: [String]) -> [Int] { texts.compactMap(self.id) }
}

extension TestNode {
    /// Posts messages in `room` and waits until all are stored. The author reads along, so that it
    /// is not a slow reader.
    public func fill(_ count: Int, bytes: Int = 10, by user: String = "author") throws {
        let author = try self.peer(user)
        var first: Int?
        for number in 1...count {
            try author.send(ConversationsFrames.message(String(repeating: "x", count: bytes)))
            guard number == count || number % max(1, 32_000 / bytes) == 0 else { continue }
            try TestPeer.wait(for: "message \(number) of \(count)", among: [author]) {
                let ids = ConversationsFrames.ids(of: author.texts)
                first = first ?? ids.first
                return ids.last.map { $0 - first! + 1 >= number } ?? false
            }
            _ = author.drainTexts()
        }
    }
}

extension Limits {
    /// For tests that send many messages, also on a slow machine: `TestPeer` answers no pings.
    public mutating func allowEverything() {
        self.messagesPerSecond = 1_000_000
        self.messageBurst = 1_000_000
        self.idle = .seconds(3600)
    }
}
