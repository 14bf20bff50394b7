import Foundation

/// An event of a kit's driver.
struct KitEvent: Decodable {
    struct KitMessage: Decodable {
        /// Null for messages that are not stored.
        let id: String?
        let author: String?
        let text: String?
        let localID: String?
        let state: String?
        let rev: Int?
        let shown: ShownFeatures

        private enum CodingKeys: String, CodingKey {
            case localID = "local_id"
            case id, author, text, state, rev
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            self.id = try values.decodeIfPresent(String.self, forKey: .id)
            self.author = try values.decodeIfPresent(String.self, forKey: .author)
            self.text = try values.decodeIfPresent(String.self, forKey: .text)
            self.localID = try values.decodeIfPresent(String.self, forKey: .localID)
            self.state = try values.decodeIfPresent(String.self, forKey: .state)
            self.rev = try values.decodeIfPresent(Int.self, forKey: .rev)
            self.shown = try ShownFeatures(from: decoder)
        }
    }

    /// What a message has beside its text. A driver may leave out what a message does not have.
    struct ShownFeatures: Decodable {
        let replyTo: String?
        let thread: String?
        let excerpt: String?
        let mentions: [String]?
        /// The number of users by emoji.
        let reactions: [String: Int]?
        let pinned: Bool?

        private enum CodingKeys: String, CodingKey {
            case replyTo = "reply_to"
            case thread, excerpt, mentions, reactions, pinned
        }

        var features: ReceivedFeatures {
            var features = ReceivedFeatures()
            features.replyTo = self.replyTo.flatMap { Int($0) }
            features.thread = self.thread.flatMap { Int($0) }
            features.excerpt = self.excerpt
            features.mentions = self.mentions ?? []
            features.counts = self.reactions ?? [:]
            features.isPinned = self.pinned ?? false
            return features
        }
    }

    let event: String
    let id: String?
    let author: String?
    let text: String?
    let localID: String?
    let rev: Int?
    let messages: [KitMessage]?
    let state: String?
    let reason: String?
    let error: String?
    let action: String?
    let shown: ShownFeatures

    private enum CodingKeys: String, CodingKey {
        case localID = "local_id"
        case action = "do"
        case event, id, author, text, rev, messages, state, reason, error
    }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.event = try values.decode(String.self, forKey: .event)
        self.id = try values.decodeIfPresent(String.self, forKey: .id)
        self.author = try values.decodeIfPresent(String.self, forKey: .author)
        self.text = try values.decodeIfPresent(String.self, forKey: .text)
        self.localID = try values.decodeIfPresent(String.self, forKey: .localID)
        self.rev = try values.decodeIfPresent(Int.self, forKey: .rev)
        self.messages = try values.decodeIfPresent([KitMessage].self, forKey: .messages)
        self.state = try values.decodeIfPresent(String.self, forKey: .state)
        self.reason = try values.decodeIfPresent(String.self, forKey: .reason)
        self.error = try values.decodeIfPresent(String.self, forKey: .error)
        self.action = try values.decodeIfPresent(String.self, forKey: .action)
        self.shown = try ShownFeatures(from: decoder)
    }

    init(_ line: String) throws {
        self = try JSONDecoder().decode(KitEvent.self, from: Data(line.utf8))
    }
}
