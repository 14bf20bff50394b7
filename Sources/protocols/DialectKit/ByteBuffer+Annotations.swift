public import Bytes
public import ChatModel
internal import JSON

/// How a protocol writes message ids.
public enum MessageIDForm: Sendable {
    case string, integer
}

extension ByteBuffer {
    /// Appends the last fields of an object about an anonymous user, each with a leading comma;
    /// nothing for other users. The key tells guests of one id apart.
    public mutating func append(guestFlagOf user: UserID) {
        guard let key = user.guestKey else { return }
        self.append(#","guest":true,"guest_key":"#)
        self.append(jsonString: key)
    }
}

/// The fields of message features, equal in all protocols except for the form of message ids. Each
/// has a leading comma. A message without the feature has no such field.
extension ByteBuffer {
    /// Appends who may enter a conversation and who finds it, with a leading comma.
    public mutating func append(accessOf record: ConversationRecord) {
        self.append(
            record.joinPolicy == .open ? #","access":"open""# : #","access":"closed""#)
        self.append(record.isListed ? #","listed":true"# : #","listed":false"#)
    }

    /// Appends the read positions of members.
    ///
    /// - Parameter id: the id of a user in the protocol.
    public mutating func append(receipts: ReceiptList, id: (UserID) -> ByteString) {
        self.append(#""me":{"#)
        self.append(positionsOf: receipts.own)
        self.append(#"},"receipts":["#)
        for (index, receipt) in receipts.highest.enumerated() {
            self.append(index > 0 ? #",{"user_id":"# : #"{"user_id":"#)
            self.append(jsonString: id(receipt.user))
            self.append(#","username":"#)
            self.append(jsonString: receipt.name)
            self.append(",")
            self.append(positionsOf: receipt)
            self.append(guestFlagOf: receipt.user)
            self.append("}")
        }
        self.append(#"],"total":"#)
        self.append(decimal: receipts.total)
    }

    private mutating func append(positionsOf receipt: ReceiptList.Receipt) {
        self.append(#""read":"#)
        self.append(messageID: receipt.read, as: .string)
        self.append(#","delivered":"#)
        self.append(messageID: receipt.delivered, as: .string)
    }

    public mutating func append(messageID sequence: SequenceNumber, as form: MessageIDForm) {
        if form == .string { self.append(#"""#) }
        self.append(decimal: sequence)
        if form == .string { self.append(#"""#) }
    }

    /// Appends what the author decided: `reply_to`, `thread` and `mentions`; and `not_members`, the
    /// mentioned users that are no members.
    public mutating func append(referencesOf message: Message, as form: MessageIDForm = .string) {
        guard let annotations = message.body.annotations else { return }
        if let reply = annotations.reply {
            self.append(#","reply_to":"#)
            self.append(messageID: reply.to, as: form)
            self.append(#","thread":"#)
            self.append(messageID: reply.thread, as: form)
        }
        guard let mentions = annotations.mentions else { return }
        self.append(#","mentions":"#)
        if mentions.includesEveryone {
            self.append(#""all""#)
        } else {
            self.append(userIDs: mentions.users)
        }
        if !mentions.nonMembers.isEmpty {
            self.append(#","not_members":"#)
            self.append(userIDs: mentions.nonMembers)
        }
    }

    private mutating func append(userIDs users: some Sequence<UserID>) {
        self.append("[")
        for (index, user) in users.enumerated() {
            if index > 0 { self.append(",") }
            self.append(jsonString: user.displayID)
        }
        self.append("]")
    }

    /// Appends everything that a message of a page has: what its author decided, the text to which
    /// it replies if the page has it, its reactions, its pin, and the replies to it.
    ///
    /// - Parameter viewer: the user whose reactions are marked as `mine`.
    public mutating func append(
        annotationsOf message: Message, on page: MessagePage, for viewer: UserID?,
        as form: MessageIDForm = .string
    ) {
        self.append(referencesOf: message, as: form)
        if let reply = message.body.annotations?.reply {
            let target = page.message(reply.to)
            if target != nil || page.hasReplyTargets {
                self.append(#","reply_excerpt":"#)
                self.append(excerptOf: target, as: form)
            }
        }
        self.append(stateOf: message, for: viewer)
        if let thread = page.threads[message.sequence] {
            self.append(#","replies":"#)
            self.append(decimal: thread.replyCount)
            self.append(#","last_reply_id":"#)
            self.append(messageID: thread.lastReply, as: form)
        }
    }

    /// Appends the reactions and the pin of a message.
    public mutating func append(stateOf message: Message, for viewer: UserID? = nil) {
        guard let annotations = message.body.annotations else { return }
        if let reactions = annotations.reactions {
            self.append(#","reactions":"#)
            self.append(reactions, for: viewer)
        }
        if let pin = annotations.pin, pin.isPinned {
            self.append(#","pinned":{"by":"#)
            self.append(jsonString: pin.by.id.displayID)
            self.append(#","username":"#)
            self.append(jsonString: pin.by.name)
            self.append(#","at":""#)
            self.append(timestamp: pin.at)
            self.append(#"""#)
            self.append(guestFlagOf: pin.by.id)
            self.append("}")
        }
    }

    /// Appends a list of reactions, each with its number of users and the first of them.
    public mutating func append(_ reactions: Reactions, for viewer: UserID? = nil) {
        self.append("[")
        for (index, group) in reactions.groups.enumerated() {
            self.append(index > 0 ? #",{"emoji":"# : #"{"emoji":"#)
            self.append(jsonString: group.emoji.text)
            self.append(#","count":"#)
            self.append(decimal: group.users.count)
            self.append(#","users":"#)
            self.append(userIDs: group.users.prefix(Reactions.listedUserLimit))
            if let viewer, group.users.contains(viewer) { self.append(#","mine":true"#) }
            self.append("}")
        }
        self.append("]")
    }

    /// Appends the message to which another one replies, shortened; `null` if it is gone.
    private mutating func append(excerptOf message: Message?, as form: MessageIDForm) {
        guard let message, message.state != .deleted else { return self.append("null") }
        self.append(#"{"id":"#)
        self.append(messageID: message.sequence, as: form)
        self.append(#","sender_id":"#)
        self.append(jsonString: message.body.author.id.displayID)
        self.append(#","username":"#)
        self.append(jsonString: message.body.author.name)
        self.append(#","content":"#)
        self.append(jsonString: message.body.excerpt)
        self.append(guestFlagOf: message.body.author.id)
        self.append("}")
    }
}

extension MessageBody {
    /// The most characters of a text that a reply shows.
    private static let excerptCharacters = 120

    /// The beginning of the text.
    fileprivate var excerpt: String {
        // A text with few bytes has few characters; counting them would cost more.
        self.content.utf8.count <= Self.excerptCharacters
            ? self.content : String(self.content.prefix(Self.excerptCharacters))
    }
}
