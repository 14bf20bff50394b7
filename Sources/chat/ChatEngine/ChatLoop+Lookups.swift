internal import Bytes
public import ChatCore
public import ChatModel

/// Lists for operators. Each call visits a limited number of slots, because the loop delivers
/// nothing meanwhile.
extension ChatLoop {
    /// A conversation of a loop, in a list for operators.
    public struct OwnedConversation: Sendable {
        public let key: ConversationKey
        public let summary: ConversationSummary
    }

    /// The conversations in a range of slots.
    public struct ConversationSlice: Sendable {
        public var conversations: [OwnedConversation] = []
        /// Inboxes, which clients cannot name. They are counted and not listed.
        public var inboxCount = 0
        /// The slot with which the next slice begins; nil after the last one.
        public var next: Int?
    }

    /// The conversations that this loop owns, from a slot on.
    ///
    /// - Parameter limit: the number of slots to visit.
    public func ownedConversations(from start: Int, limit: Int, at now: ClockReading)
        -> ConversationSlice
    {
        var slice = ConversationSlice()
        let end = min(start + limit, self.owner.slots.slotCount)
        for slot in start..<max(start, end) {
            let number = UInt32(slot)
            guard self.owner.slots.isOccupied(number) else { continue }
            guard !self.owner.slots[number].conversation.isInbox else {
                slice.inboxCount += 1
                continue
            }
            guard
                let summary = self.owner.slots[number].conversation.summary(at: now.monotonic)
            else { continue }
            slice.conversations.append(
                OwnedConversation(key: self.owner.slots[number].key, summary: summary))
        }
        slice.next = end < self.owner.slots.slotCount ? end : nil
        return slice
    }

    /// A conversation in full. Nil if it is not in memory here, or does not exist.
    public func inspection(
        of key: ConversationKey, memberLimit: Int, at now: ClockReading
    ) -> ConversationInspection? {
        guard let number = self.owner.slot(of: key) else { return nil }
        return self.owner.slots[number].conversation.inspection(
            memberLimit: memberLimit, at: now.monotonic)
    }

    /// The feed of a conversation to which this loop subscribes; nil without one.
    public func feed(of key: ConversationKey) -> FeedID? {
        self.subscriptions.feeds.slot(of: key).map { self.subscriptions.feeds.id(at: $0) }
    }
}
