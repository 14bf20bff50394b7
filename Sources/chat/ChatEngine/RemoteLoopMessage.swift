/// A message to a loop of another node that does not belong to a conversation.
///
/// It may be lost without notice. A sender that needs an answer retries.
public struct RemoteLoopMessage: Sendable, Equatable {
    /// The receiving loop's number.
    public let loop: UInt16
    public let text: String

    public init(to loop: UInt16, _ text: String) {
        self.loop = loop
        self.text = text
    }
}
