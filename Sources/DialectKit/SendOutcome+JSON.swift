public import Bytes
public import ChatModel

extension ByteBuffer {
    /// The field of a failed send that says what became of the message, with a comma in front.
    public mutating func append(outcome: SendOutcome) {
        self.append(outcome == .refused ? #","outcome":"refused""# : #","outcome":"unknown""#)
    }
}
