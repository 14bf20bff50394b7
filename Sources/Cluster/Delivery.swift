public import ChatModel

/// What a loop's chat has for its listeners.
public enum Delivery: Sendable {
    /// For everybody who listens to the feed; `answering` is the context of the connection that asked for it, which
    /// may or may not be one of those.
    case event(FeedID, ChatEvent, answering: UInt64?)
    /// For the one who asked. Marked is a message that the conversation's feed shows as an event as well, at a place
    /// behind what it had shown when this was asked.
    case answer(context: UInt64, ChatAnswer, isAlsoEvent: Bool)
    /// A page that was read for somebody. It has every edit and deletion that the conversation's feed has shown.
    case page(context: UInt64, MessagePage)
    case pageFailed(context: UInt64)
}

extension [Delivery] {
    /// Where the first message stands that follows an entrance or a page.
    var firstMessageAfterJoinOrPage: Int? {
        var hasArrival = false
        for (place, delivery) in self.enumerated() {
            switch delivery {
            case .event(_, .posted, _): if hasArrival { return place }
            case .answer(_, .joined, _), .page, .pageFailed: hasArrival = true
            case .event, .answer: break
            }
        }
        return nil
    }
}
