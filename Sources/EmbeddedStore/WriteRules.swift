import ChatModel

extension Write {
    /// Whether this is the next change of a conversation that is stored up to here.
    ///
    /// Cursors are no change of the conversation and fit everywhere; a conversation is made only where there is none.
    func follows(revision stored: Revision, head: SequenceNumber) -> Bool {
        switch self.change {
        case .cursors: true
        case .create: false
        case .message(let message): self.revision == stored + 1 && message.sequence == head + 1
        case .amend(let message, _):
            self.revision == stored + 1 && message.sequence >= 1 && message.sequence <= head
        case .member, .remove, .end, .skip: self.revision == stored + 1
        }
    }

    /// What becomes of this where there is no such conversation: only making one, or nothing, can be done.
    var refusalWithoutConversation: WriteRefusal? {
        switch self.change {
        case .create: self.revision == 1 ? nil : .revisionMismatch(stored: 0)
        case .cursors: nil
        case .message, .amend, .member, .remove, .end, .skip: .revisionMismatch(stored: 0)
        }
    }
}

extension Message {
    /// The stored message with the words of an amendment, which changes nothing else: not the author, the client id or the time.
    func amended(as change: Message, revision: Revision) -> Message {
        var amended = self
        amended.state = change.state
        amended.revision = revision
        if self.body.author == change.body.author,
            self.body.clientMessageID == change.body.clientMessageID
        {
            amended.body = change.body
        } else {
            amended.body = MessageBody(
                author: self.body.author, clientMessageID: self.body.clientMessageID,
                content: change.body.content, metadata: change.body.metadata)
        }
        return amended
    }
}

/// The writes of a batch that were refused: with one all later ones of its conversation.
struct RefusedWrites {
    private var refusals: [Int: WriteRefusal] = [:]
    private var conversations: [ConversationKey: WriteRefusal] = [:]

    /// Whether the write at this place is refused for an earlier one of its conversation.
    mutating func refuses(_ conversation: ConversationKey, at place: Int) -> Bool {
        guard !self.conversations.isEmpty, let refusal = self.conversations[conversation] else {
            return false
        }
        self.refusals[place] = refusal
        return true
    }

    mutating func record(_ refusal: WriteRefusal, of conversation: ConversationKey, at place: Int) {
        self.refusals[place] = refusal
        self.conversations[conversation] = refusal
    }

    var outcome: WriteOutcome { self.refusals.isEmpty ? .stored : .refused(self.refusals) }
}

extension PageRange {
    /// The numbers of a page's messages, where those from `oldest` to `head` are kept.
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
}

/// Who owns a shard.
struct ShardFence: Equatable {
    var epoch: Epoch
    var owner: LoopID
    /// Under which view it was claimed. Not kept in a file: a node that serves alone has one view for all its life.
    var view = 0

    /// A shard that nobody has claimed; no write carries its epoch.
    static let unclaimed = ShardFence(epoch: 0, owner: LoopID(incarnation: 0, loop: 0))

    /// Nil if this owner may write under this epoch.
    func refusal(of owner: LoopID, under epoch: Epoch) -> WriteRefusal? {
        self.epoch == epoch && self.owner == owner && epoch > 0 ? nil : .fenced(self.epoch)
    }
}
