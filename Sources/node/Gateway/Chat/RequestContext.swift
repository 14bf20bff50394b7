import Bytes
import ChatEngine
import ChatModel
import DialectKit
import EventLoop

extension ChatBridge {
    /// The request that an answer of the chat engine or the store belongs to.
    struct RequestContext {
        let token: SocketToken
        let kind: Kind

        enum Kind {
            /// With the feed of the requester's subscription, if it has one.
            case command(RequestTag, FeedID?)
            case join(FeedID, ConversationKey, from: StartPosition, RequestTag)
            case fetch(RequestTag)
            case search(RequestTag, SearchAttempt)
            case page(RequestTag, ConversationKey)
            case catchUp(FeedID, WebSocketState.CatchUpQuery)
            case upgrade(UpgradeRequest)
            case numbers(NumberLookupPurpose, [UserID], tenant: ByteString)
            /// From an operator or the REST API, without a connection.
            case operatorCommand(@Sendable (ChatAnswer) -> Void)
        }
    }
}

extension ChatBridge.RequestContext {
    /// A search in one conversation. It is repeated if a client may have seen an edit or a deletion
    /// since its start: the store may have read the message before, and deleted text must not
    /// reappear.
    struct SearchAttempt {
        let request: StoreRequest
        let conversation: ConversationKey
        let permit: SearchPermit
        /// The newest edit or deletion that this loop had delivered when the search began.
        let amendedThrough: Revision
        let count: Int

        static let limit = 8
    }
}

extension Slab where Element == ChatBridge.RequestContext {
    mutating func add(_ context: consuming ChatBridge.RequestContext) -> RequestContextID {
        RequestContextID(rawValue: self.insert(consume context))
    }

    mutating func replace(
        _ id: RequestContextID, with context: consuming ChatBridge.RequestContext
    ) {
        self.replace(id.rawValue, with: consume context)
    }

    mutating func remove(_ id: RequestContextID) -> ChatBridge.RequestContext? {
        self.remove(id.rawValue)
    }

    subscript(id: RequestContextID) -> ChatBridge.RequestContext? { self[id.rawValue] }
}
