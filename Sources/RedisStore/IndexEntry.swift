import Bytes
import ChatModel

/// A line in a list of conversations that has to be there before a write is done: a line without a conversation is passed over, a
/// conversation without a line would never be found.
struct IndexEntry {
    let indexKey: StoreKeys.IndexKey
    /// The line's place. A member's is by when it was written, so that nobody takes it for a left over one while the write is on its way.
    let score: Int64
    let id: ByteString

    /// Nil where a write needs none.
    init?(_ write: borrowing Write, at now: Timestamp) {
        switch write.change {
        case .member(let member):
            self.indexKey = .memberships(member.user, write.conversation.tenant)
            self.score = now.milliseconds
        case .create(let record) where record.isCatalogKind:
            self.indexKey = .catalog(write.conversation.tenant)
            self.score = record.createdAt.milliseconds
        case .create, .message, .amend, .remove, .cursors, .end, .skip:
            return nil
        }
        self.id = write.conversation.id
    }
}
