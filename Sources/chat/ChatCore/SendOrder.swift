/// The position of a send among the sends of one loop to the same conversation.
///
/// A sender may have several sends in flight, and one of them may be lost or refused while later
/// ones arrive. So that messages are numbered in the order of sending, each send names the previous
/// one without an answer. The owner accepts no send before the one that it names.
public struct SendOrder: Sendable, Hashable {
    /// Increases with every send of the loop; 0 for sends without an order.
    public let number: UInt64
    /// The previous send that had no answer when this one left; 0 for none.
    public let after: UInt64

    public static let none = SendOrder(number: 0, after: 0)

    public init(number: UInt64, after: UInt64) {
        self.number = number
        self.after = after
    }
}
