public import ChatModel
public import Gateway

/// What the API needs of the node that it is served by.
public protocol RoomsPort: AnyObject, Sendable {
    /// Nil: no answer in time.
    func command(_ command: ChatCommand, in key: ConversationKey, within time: Duration) async
        -> ChatAnswer?
    func read(_ request: StoreRequest, within time: Duration) async -> StoreAnswer?
}

extension Gateway: RoomsPort {}
