import Bytes
import ChatModel

extension Write {
    /// Whether this write is the next change of a conversation with this revision and head.
    ///
    /// Cursors have no revision and always follow. A creation never follows, because the
    /// conversation exists.
    func follows(revision stored: Revision, head: SequenceNumber) -> Bool {
        switch self.change {
        case .cursors: true
        case .create: false
        case .message(let message): self.revision == stored + 1 && message.sequence == head + 1
        case .amend(let message, _, _):
            self.revision == stored + 1 && message.sequence >= 1 && message.sequence <= head
        case .member, .remove, .update, .end, .skip: self.revision == stored + 1
        }
    }

    /// The result for a conversation that does not exist: only a creation, or a change of cursors,
    /// which has no effect, is accepted.
    var refusalWithoutConversation: WriteRefusal? {
        switch self.change {
        case .create: self.revision == 1 ? nil : .revisionMismatch(stored: 0)
        case .cursors: nil
        case .message, .amend, .member, .remove, .update, .end, .skip:
            .revisionMismatch(stored: 0)
        }
    }
}

extension Message {
    /// The stored message with the present state of an amended one. The author, client id, time,
    /// reply and mentions stay unchanged; a deleted message has no mentions.
    func amended(as change: Message, revision: Revision) -> Message {
        var amended = self
        amended.state = change.state
        amended.revision = revision
        let (stored, new) = (self.body.annotations, change.body.annotations)
        let mentions = change.state == .deleted ? nil : stored?.mentions
        if self.body.author == change.body.author,
            self.body.clientMessageID == change.body.clientMessageID, stored?.reply == new?.reply,
            mentions == new?.mentions
        {
            amended.body = change.body
        } else {
            amended.body = MessageBody(
                author: self.body.author, clientMessageID: self.body.clientMessageID,
                content: change.body.content, metadata: change.body.metadata,
                annotations: MessageAnnotations(
                    reply: stored?.reply, mentions: mentions, reactions: new?.reactions,
                    pin: new?.pin))
        }
        return amended
    }
}

/// The refused writes of a batch. A refusal applies to all later writes of the same conversation.
struct RefusedWrites {
    private var refusals: [Int: WriteRefusal] = [:]
    private var conversations: [ConversationKey: WriteRefusal] = [:]

    /// Whether the write at this index is refused because of an earlier write of its conversation.
    mutating func refuses(_ conversation: ConversationKey, at index: Int) -> Bool {
        guard !self.conversations.isEmpty, let refusal = self.conversations[conversation] else {
            return false
        }
        self.refusals[index] = refusal
        return true
    }

    mutating func record(_ refusal: WriteRefusal, of conversation: ConversationKey, at index: Int) {
        self.refusals[index] = refusal
        self.conversations[conversation] = refusal
    }

    var outcome: WriteOutcome { self.refusals.isEmpty ? .stored : .refused(self.refusals) }
}

extension PageRange {
    /// The sequence numbers of a page's messages, if those from `oldest` to `head` are stored.
    func window(oldest: SequenceNumber, head: SequenceNumber, limit: Int) -> Range<SequenceNumber> {
        let nothing = oldest..<oldest
        guard limit > 0, oldest <= head else { return nothing }
        switch self {
        case .newest:
            return max(oldest, head - min(limit, head) + 1)..<head + 1
        case .before(let number):
            guard number > oldest else { return nothing }
            let end = min(number, head + 1)
            return max(oldest, end - min(limit, end))..<end
        case .after(let number):
            guard number < head else { return nothing }
            let start = max(number + 1, oldest)
            return start..<start + min(limit, head - start + 1)
        }
    }

    /// Those of the numbers, which are in ascending order, that the range has.
    func numbers(of numbers: [SequenceNumber]) -> ArraySlice<SequenceNumber> {
        switch self {
        case .newest: numbers[...]
        case .before(let number): numbers.prefix { $0 < number }
        case .after(let number): numbers.drop { $0 <= number }
        }
    }
}

extension MessagePage {
    /// Sets `hasMore` of a page without gaps.
    mutating func setHasMore(of range: PageRange) {
        guard let first = self.messages.first?.sequence, let last = self.messages.last?.sequence
        else { return }
        self.hasMore = range.isForward ? last < self.head : first > self.oldest
    }
}

/// The owner of a shard.
struct ShardFence: Equatable {
    var epoch: Epoch
    var owner: LoopID
    /// The view under which the shard was claimed. It is not stored in a file, because a node
    /// without a cluster has only one view.
    var view = 0

    /// The fence of an unclaimed shard; no write has its epoch.
    static let unclaimed = ShardFence(epoch: 0, owner: LoopID(incarnation: 0, loop: 0))

    /// Nil if this owner may write in this epoch.
    func refusal(of owner: LoopID, under epoch: Epoch) -> WriteRefusal? {
        self.epoch == epoch && self.owner == owner && epoch > 0 ? nil : .fenced(self.epoch)
    }
}
