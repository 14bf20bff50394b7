/// The revisions of the parts of a message, which change by events of their own. Nil for a part
/// that an event does not have; 0 in protocols without revisions.
struct PartRevisions: Equatable {
    var text: Int?
    var reactions: Int?
    var pin: Int?

    /// Whether a later event with this revision replaces a part.
    fileprivate static func replaces(_ old: Int?, _ new: Int?) -> Bool {
        guard let new else { return false }
        return new == 0 || new >= old ?? 0
    }
}

/// What is known of a message: a whole one, or only the parts of an event.
///
/// Edits, reactions and pins arrive as events of their own, a late one perhaps after a page that
/// has newer ones. So each part is compared by its own revision. An equal revision is the same
/// state.
struct KnownMessage: Equatable {
    var message: ChatMessage
    var revs: PartRevisions
    /// Whether the message comes from a page, which is made for its reader.
    var isFetched: Bool

    /// A whole message.
    init(_ message: ChatMessage, isFetched: Bool) {
        self.message = message
        self.revs = PartRevisions(text: message.rev, reactions: message.rev, pin: message.rev)
        self.isFetched = isFetched
    }

    /// The text of an edited message.
    init(edited message: ChatMessage) {
        self.message = message
        self.revs = PartRevisions(text: message.rev)
        self.isFetched = false
    }

    init(_ reactions: [MessageReaction], to id: Int, rev: Int) {
        self.message = ChatMessage(id: id, author: "", text: "")
        self.message.rev = rev
        self.message.reactions = reactions
        self.revs = PartRevisions(reactions: rev)
        self.isFetched = false
    }

    /// Takes the parts that are newer. What only this client knows stays: the local id and the
    /// progress of the delivery.
    mutating func merge(_ newer: KnownMessage) {
        let other = newer.message
        if self.message.author.isEmpty { self.message.author = other.author }
        self.message.guestKey = self.message.guestKey ?? other.guestKey
        self.message.time = self.message.time ?? other.time
        self.message.localID = self.message.localID ?? other.localID
        self.message.isOwn = self.message.isOwn || other.isOwn
        self.message.authorName = self.message.authorName ?? other.authorName
        self.message.replyTo = self.message.replyTo ?? other.replyTo
        self.message.thread = self.message.thread ?? other.thread
        self.message.replyExcerpt = self.message.replyExcerpt ?? other.replyExcerpt
        if self.message.mentioned == .none { self.message.mentioned = other.mentioned }
        self.message.mentionsMe = self.message.mentionsMe || other.mentionsMe
        if self.message.notMembers.isEmpty { self.message.notMembers = other.notMembers }
        if other.lastReplyID ?? 0 > self.message.lastReplyID ?? 0 {
            self.message.replies = other.replies
            self.message.lastReplyID = other.lastReplyID
        }
        self.message.rev = max(self.message.rev, other.rev)
        self.message.wasChanged = self.message.wasChanged || other.wasChanged
        self.isFetched = self.isFetched || newer.isFetched
        if PartRevisions.replaces(self.revs.text, newer.revs.text) {
            self.message.text = other.text
            self.message.isEdited = other.isEdited
            if other.isDeleted { self.message.state = .deleted }
            self.revs.text = newer.revs.text
        }
        if PartRevisions.replaces(self.revs.reactions, newer.revs.reactions) {
            self.message.reactions = other.reactions
            self.revs.reactions = newer.revs.reactions
        }
        if PartRevisions.replaces(self.revs.pin, newer.revs.pin) {
            self.message.pinned = other.pinned
            self.revs.pin = newer.revs.pin
        }
        if self.message.isDeleted { self.message.removeContent() }
    }
}

extension ChatMessage {
    /// A deleted message keeps its place in its thread.
    fileprivate mutating func removeContent() {
        self.text = ""
        self.replyExcerpt = nil
        self.mentioned = .none
        self.mentionsMe = false
        self.notMembers = []
        self.reactions = []
        self.pinned = nil
    }
}
