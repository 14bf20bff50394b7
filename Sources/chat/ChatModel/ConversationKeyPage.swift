public import Bytes

/// A part of the list of all conversations.
public struct ConversationKeyPage: Sendable, Equatable {
    public var keys: [ConversationKey]
    /// The cursor of the next page; nil on the last page. A page that is not the last may be empty.
    public var next: ByteString?

    public init(keys: [ConversationKey] = [], next: ByteString? = nil) {
        self.keys = keys
        self.next = next
    }
}

/// The faults in the stored state of a conversation that reading its messages does not show.
public struct StoredFaults: Sendable, Equatable {
    /// Sentences about the faults that can be repaired; in the answer to a repair, those that were.
    public var repairable: [String]
    /// Sentences about the other faults, each with the reason.
    public var unrepairable: [String]

    public init(repairable: [String] = [], unrepairable: [String] = []) {
        self.repairable = repairable
        self.unrepairable = unrepairable
    }
}
