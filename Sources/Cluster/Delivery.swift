public import ChatModel

/// What a loop's chat has for its listeners.
public enum Delivery: Sendable {
    /// For everybody who listens to the feed; `answering` is the context of the connection that asked for it.
    case event(FeedID, ChatEvent, answering: UInt64?)
    /// For the one who asked. A message that the asker's own feed shows as well is marked.
    case answer(context: UInt64, ChatAnswer, isShown: Bool)
    /// A page that was read for somebody.
    case page(context: UInt64, Page)
    case pageFailed(context: UInt64)
}
