import Bytes
import ChatModel

/// The entry in an index of conversations that a write needs.
///
/// It must exist before the write: readers skip an entry without a conversation, but would never
/// find a conversation without an entry.
struct IndexEntry {
    let indexKey: StoreKeys.IndexKey
    /// The entry's score. For a member it is the time of the write, so that the entry does not
    /// count as stale while the write is in flight.
    let score: Int64
    let id: ByteString

    /// Nil if the write needs no index entry.
    init?(_ write: borrowing Write, at now: Timestamp) {
        switch write.change {
        case .member(let member) where member.role.isMember:
            self.indexKey = .memberships(member.user, write.conversation.tenant)
            self.score = now.milliseconds
        case .create(let record) where record.isListed, .update(let record) where record.isListed:
            self.indexKey = .catalog(write.conversation.tenant)
            self.score = record.createdAt.milliseconds
        case .create, .message, .amend, .member, .remove, .update, .cursors, .end, .skip:
            return nil
        }
        self.id = write.conversation.id
    }
}
