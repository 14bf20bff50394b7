import Bytes
import ChatModel

/// A change that is on its way to the store and is no message: what is to be said, and to whom, once it is there.
///
/// Messages come back from the store with all that is to be said of them, so the many need no list of their own.
struct PendingChange: Sendable {
    enum Kind: Sendable {
        case created
        case amended(Message)
        case member(UInt32, isJoin: Bool)
        case left(Member, at: Timestamp)
        case ended(by: UserID, at: Timestamp)
    }

    let revision: Revision
    let kind: Kind
    /// Who asked for it, then who asked for the same.
    var requesters: [RequestOrigin]
    /// Who asked for the conversation, of which this was the last to be made.
    var creationRequesters: [RequestOrigin] = []

    /// The same request, asked again, gets one answer.
    mutating func addRequester(_ asker: RequestOrigin) {
        if !self.requesters.contains(where: { $0.isSame(as: asker) }) {
            self.requesters.append(asker)
        }
    }

    var amended: Message? {
        if case .amended(let message) = self.kind { message } else { nil }
    }
}
