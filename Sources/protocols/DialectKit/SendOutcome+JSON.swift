public import Bytes
public import ChatModel

extension ByteBuffer {
    /// Appends the field of a failed send that says whether the message may have been stored, with
    /// a leading comma.
    public mutating func append(outcome: SendOutcome) {
        self.append(outcome == .refused ? #","outcome":"refused""# : #","outcome":"unknown""#)
    }
}
