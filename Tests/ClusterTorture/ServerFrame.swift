import Foundation

/// The fields of the Conversations protocol's frames that the members use.
struct ServerFrame: Decodable {
    struct FrameMessage: Decodable {
        let id: String
        let localID: String?
        let senderID: String
        let content: String
        /// Live messages have `timestamp`, those of a page `sent_at`.
        let timestamp: String?
        let sentAt: String?
        let isEdited: Bool?
        let isDeleted: Bool?

        private enum CodingKeys: String, CodingKey {
            case localID = "local_id"
            case senderID = "sender_id"
            case sentAt = "sent_at"
            case isEdited = "is_edited"
            case isDeleted = "is_deleted"
            case id, content, timestamp
        }

        var receivedMessage: HistoryChecker.ReceivedMessage? {
            guard let number = Int(self.id), let time = self.timestamp ?? self.sentAt else {
                return nil
            }
            let state: HistoryChecker.ReceivedMessage.State =
                self.isDeleted == true ? .deleted : self.isEdited == true ? .edited : .sent
            return HistoryChecker.ReceivedMessage(
                number, by: self.senderID, as: self.localID, self.content, at: time, state)
        }
    }

    let type: String
    let message: FrameMessage?
    let messages: [FrameMessage]?
    let localID: String?
    let action: String?
    let error: String?
    let outcome: String?
    /// The revision of the conversation, in frames with messages.
    let rev: Int?

    private enum CodingKeys: String, CodingKey {
        case localID = "local_id"
        case type, message, messages, action, error, outcome, rev
    }

    init(_ text: String) throws {
        self = try JSONDecoder().decode(ServerFrame.self, from: Data(text.utf8))
    }
}
