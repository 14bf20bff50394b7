import Bytes
import ChatModel
import RedisStore

/// Divides a conversation into parts of bounded size, which are written one after the other.
///
/// It is a value: the caller reads the messages. Members come first, and the last part completes
/// the conversation.
struct ConversationParts {
    /// The most members of a part.
    static let memberLimit = 1000
    /// The most messages of a part, and the most bytes of their texts, beyond the first message.
    static let messageLimit = 200
    static let byteLimit = 1 << 20

    private let conversation: LoadedConversation
    private var members: ArraySlice<Member>
    private var last: SequenceNumber
    private var amendedAt: Revision = 0
    private(set) var isComplete = false
    private var isFirst = true

    init(_ conversation: LoadedConversation) {
        self.conversation = conversation
        self.members = conversation.members[...]
        self.last = conversation.oldest - 1
    }

    /// The number above which the next part needs messages; nil if it needs none.
    var needsMessages: SequenceNumber? {
        self.members.count <= Self.memberLimit && self.last < self.conversation.head
            ? self.last : nil
    }

    /// Makes the next part.
    ///
    /// - Parameter messages: the next ones, if the part needs any. Those beyond the limits belong
    ///   to the next part.
    mutating func next(_ messages: [Message]) -> RestoreCommands.RestoredPart {
        var part = RestoreCommands.RestoredPart()
        part.isFirst = self.isFirst
        part.last = self.last >= self.conversation.oldest ? self.last : nil
        part.members = Array(self.members.prefix(Self.memberLimit))
        self.members = self.members.dropFirst(Self.memberLimit)
        var bytes = 0
        for message in messages.prefix(Self.messageLimit) {
            bytes += message.copiedBytes
            if bytes > Self.byteLimit, !part.messages.isEmpty { break }
            part.messages.append(message)
            self.last = message.sequence
            if message.wasAmended { self.amendedAt = max(self.amendedAt, message.revision) }
        }
        if self.members.isEmpty, self.last == self.conversation.head {
            part.completion = (self.conversation, self.amendedAt)
            self.isComplete = true
        }
        self.isFirst = false
        return part
    }
}

extension Message {
    /// About the bytes that the message has in a part.
    fileprivate var copiedBytes: Int {
        let reactions = self.body.annotations?.reactions?.groups ?? []
        return self.body.content.utf8.count + (self.body.metadata?.count ?? 0)
            + reactions.reduce(0) { bytes, group in
                group.users.reduce(bytes) { $0 + $1.storageKey.byteCount }
            }
    }
}
