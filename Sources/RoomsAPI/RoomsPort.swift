public import ChatModel
public import Gateway

/// The node, as the API uses it.
public protocol RoomsPort: AnyObject, Sendable {
    /// Nil if there is no answer in time.
    func command(_ command: ChatCommand, in key: ConversationKey, within time: Duration) async
        -> ChatAnswer?
    func read(_ request: StoreRequest, within time: Duration) async -> StoreAnswer?
}

extension Gateway: RoomsPort {}
