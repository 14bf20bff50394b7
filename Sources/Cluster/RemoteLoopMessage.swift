/// What a loop says to one of another node's that is no mail between conversations and those who hear them.
///
/// It may get lost, and nobody notices: whoever needs an answer asks again.
public struct RemoteLoopMessage: Sendable, Equatable {
    /// For which of the receiver's loops.
    public let loop: UInt16
    public let text: String

    public init(to loop: UInt16, _ text: String) {
        self.loop = loop
        self.text = text
    }
}
