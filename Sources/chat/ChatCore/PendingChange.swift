import Bytes
import ChatModel

/// A change in flight that is not a message: what to announce, and which requests to answer, once
/// it is stored.
///
/// The store's answer for a message carries all that is needed, so messages need no list.
struct PendingChange: Sendable {
    enum Kind: Sendable {
        case created
        case amended(Message, Amendment)
        case member(UInt32, isJoin: Bool)
        case left(Member, at: Timestamp)
        case ended(by: UserID, at: Timestamp)
        indirect case updated(ConversationRecord, by: Person)
    }

    let revision: Revision
    let kind: Kind
    /// The request that caused the change, then the requests for the same change.
    var requesters: [RequestOrigin]
    /// The requests that create the conversation, if this change is the last of the creation.
    var creationRequesters: [RequestOrigin] = []

    /// A retry of a request gets no second answer.
    mutating func addRequester(_ requester: RequestOrigin) {
        if !self.requesters.contains(where: { $0.isSame(as: requester) }) {
            self.requesters.append(requester)
        }
    }

    /// Whether the user has left. A claimed name stands for every guest of this name.
    func isDeparture(of user: UserID) -> Bool {
        guard case .left(let member, _) = self.kind else { return false }
        return user.isClaimed ? member.user.looksLike(user) : member.user == user
    }

    var isUpdate: Bool { if case .updated = self.kind { true } else { false } }

    var isEnd: Bool { if case .ended = self.kind { true } else { false } }

    var amended: Message? {
        if case .amended(let message, _) = self.kind { message } else { nil }
    }
}
