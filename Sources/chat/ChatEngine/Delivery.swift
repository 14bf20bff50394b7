public import ChatModel

/// Output of a loop's chat engine for its subscribers.
public enum Delivery: Sendable {
    /// An event for all subscribers of the feed. `answering` is the context of the connection whose
    /// request caused it; that connection need not be a subscriber.
    case event(FeedID, ChatEvent, answering: RequestContextID?)
    /// An answer for the requester. `isAlsoEvent` marks a message that the feed also delivers as an
    /// event: a posted one that it had not delivered when the request was made, or an amended one
    /// that is ahead of the feed. `isLate` marks a message whose event comes later than an answer
    /// may.
    case answer(context: RequestContextID, ChatAnswer, isAlsoEvent: Bool, isLate: Bool = false)
    /// A requested page. It contains every edit and deletion that the conversation's feed has
    /// delivered.
    case page(context: RequestContextID, MessagePage)
    case pageFailed(context: RequestContextID)
}

extension [Delivery] {
    /// The index of the first message after a join or a page.
    var firstMessageAfterJoinOrPage: Int? {
        var hasJoinOrPage = false
        for (index, delivery) in self.enumerated() {
            switch delivery {
            case .event(_, .posted, _): if hasJoinOrPage { return index }
            case .answer(_, .joined, _, _), .page, .pageFailed: hasJoinOrPage = true
            case .event, .answer: break
            }
        }
        return nil
    }
}
