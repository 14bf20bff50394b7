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
        let replyTo: String?
        let thread: String?
        let excerpt: Excerpt?
        let mentions: [String]?
        let reactions: [Reaction]?
        let pinned: Pin?
        /// Whether the message has changed since it was posted.
        let wasChanged: Bool

        struct Excerpt: Decodable { let content: String }

        struct Reaction: Decodable {
            let emoji: String
            let count: Int
            let users: [String]
        }

        struct Pin: Decodable { let by: String }

        private enum CodingKeys: String, CodingKey {
            case replyTo = "reply_to"
            case excerpt = "reply_excerpt"
            case thread, mentions, reactions, pinned
            case localID = "local_id"
            case senderID = "sender_id"
            case sentAt = "sent_at"
            case isEdited = "is_edited"
            case isDeleted = "is_deleted"
            case id, content, timestamp
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            self.id = try values.decode(String.self, forKey: .id)
            self.localID = try values.decodeIfPresent(String.self, forKey: .localID)
            self.senderID = try values.decode(String.self, forKey: .senderID)
            self.content = try values.decode(String.self, forKey: .content)
            self.timestamp = try values.decodeIfPresent(String.self, forKey: .timestamp)
            self.sentAt = try values.decodeIfPresent(String.self, forKey: .sentAt)
            self.isEdited = try values.decodeIfPresent(Bool.self, forKey: .isEdited)
            self.isDeleted = try values.decodeIfPresent(Bool.self, forKey: .isDeleted)
            self.replyTo = try values.decodeIfPresent(String.self, forKey: .replyTo)
            self.thread = try values.decodeIfPresent(String.self, forKey: .thread)
            self.excerpt = try values.decodeIfPresent(Excerpt.self, forKey: .excerpt)
            self.mentions = try values.decodeIfPresent([String].self, forKey: .mentions)
            self.reactions = try values.decodeIfPresent([Reaction].self, forKey: .reactions)
            self.pinned = try values.decodeIfPresent(Pin.self, forKey: .pinned)
            // An ended pin is null.
            self.wasChanged =
                self.isEdited == true || self.isDeleted == true || values.contains(.reactions)
                || values.contains(.pinned)
        }

        var features: ReceivedFeatures {
            var features = ReceivedFeatures()
            features.replyTo = self.replyTo.flatMap { Int($0) }
            features.thread = self.thread.flatMap { Int($0) }
            features.excerpt = self.excerpt?.content
            features.mentions = self.mentions ?? []
            features.reactions = (self.reactions ?? []).users
            for reaction in self.reactions ?? [] {
                features.counts[reaction.emoji] = reaction.count
            }
            features.isPinned = self.pinned != nil
            return features
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
    let messageID: String?
    let reactions: [FrameMessage.Reaction]?
    let by: String?
    let nextBeforeID: String?
    let incomplete: Bool?

    var messageNumber: Int? { self.messageID.flatMap { Int($0) } }

    private enum CodingKeys: String, CodingKey {
        case localID = "local_id"
        case messageID = "message_id"
        case nextBeforeID = "next_before_id"
        case type, message, messages, action, error, outcome, rev, reactions, by, incomplete
    }

    init(_ text: String) throws {
        self = try JSONDecoder().decode(ServerFrame.self, from: Data(text.utf8))
    }
}

extension [ServerFrame.FrameMessage.Reaction] {
    /// The users by emoji, as far as they are listed.
    var users: [String: Set<String>] {
        Dictionary(self.map { ($0.emoji, Set($0.users)) }, uniquingKeysWith: { $0.union($1) })
    }
}
