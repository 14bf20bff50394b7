import Bytes
import ChatEngine
import ChatModel
import DialectKit
import EventLoop

extension LoopState {
    /// The request that an answer of the chat core or the store belongs to.
    struct RequestContext {
        let token: SocketToken
        let kind: Kind

        enum Kind {
            /// With the feed of the requester's subscription, if it has one.
            case command(RequestTag, FeedID?)
            case join(
                FeedID, ConversationKey, from: StartPosition, requestedAt: Timestamp, RequestTag)
            case fetch(RequestTag)
            case page(RequestTag, ConversationKey)
            case catchUp(FeedID, WebSocketState.CatchUpQuery)
            case upgrade(PendingUpgrade)
            case numbers(NumberLookupPurpose, [UserID], tenant: ByteString)
            /// From an operator or the REST API, without a connection.
            case operatorCommand(@Sendable (ChatAnswer) -> Void)
        }
    }
}

extension Slab where Element == LoopState.RequestContext {
    mutating func add(_ context: consuming LoopState.RequestContext) -> RequestContextID {
        RequestContextID(rawValue: self.insert(consume context))
    }

    mutating func replace(
        _ id: RequestContextID, with context: consuming LoopState.RequestContext
    ) {
        self.replace(id.rawValue, with: consume context)
    }

    mutating func remove(_ id: RequestContextID) -> LoopState.RequestContext? {
        self.remove(id.rawValue)
    }

    subscript(id: RequestContextID) -> LoopState.RequestContext? { self[id.rawValue] }
}
