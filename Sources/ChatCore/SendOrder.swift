/// The place of a send among the others that a loop has sent to the same conversation.
///
/// A sender may have several on their way at once, and one of them may be lost or refused for now while those behind it come through. So
/// that they are numbered as they were sent, each names the one before it that its loop has no answer to, and the owner takes none before
/// that one.
public struct SendOrder: Sendable, Hashable {
    /// Grows with every send of the loop's; 0 for what has no order.
    public let number: UInt64
    /// The send before this one that was not answered when this one left; 0 for none.
    public let after: UInt64

    public static let none = SendOrder(number: 0, after: 0)

    public init(number: UInt64, after: UInt64) {
        self.number = number
        self.after = after
    }
}
