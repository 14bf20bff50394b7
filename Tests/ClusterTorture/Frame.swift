import Foundation

/// What a server of the Conversations protocol sends, as far as members of a torture look at it.
struct Frame: Decodable {
    struct Message: Decodable {
        let id: String
        let local_id: String?
        let sender_id: String
        let content: String
        /// Live messages have the one, those of a page the other.
        let timestamp: String?
        let sent_at: String?

        var told: HistoryChecker.Message? {
            guard let number = Int(self.id), let time = self.timestamp ?? self.sent_at else { return nil }
            return HistoryChecker.Message(number, by: self.sender_id, as: self.local_id, self.content, at: time)
        }
    }

    let type: String
    let message: Message?
    let messages: [Message]?
    let local_id: String?
    let error: String?

    init(_ text: String) throws {
        self = try JSONDecoder().decode(Frame.self, from: Data(text.utf8))
    }
}
