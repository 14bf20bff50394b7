public import Bytes
public import ChatModel

/// One conversation in a list for operators.
public struct ConversationSummary: Sendable {
    public let record: ConversationRecord
    /// The time of the last stored change; `record` has that of the load.
    public let updatedAt: Timestamp
    public let memberCount: Int
    /// Users with at least one subscribed connection.
    public let presentCount: Int
    /// The newest stored message.
    public let head: SequenceNumber
    /// Messages that can still be read.
    public let retainedCount: Int
    /// Over the last ten seconds.
    public let messagesPerSecond: Double
}

/// One conversation in full, as its owner knows it. It contains no messages.
public struct ConversationInspection: Sendable {
    public struct InspectedMember: Sendable {
        public let member: Member
        /// The loops on which the member has a connection to the conversation.
        public let loops: [LoopID]
    }

    public let summary: ConversationSummary
    public let revision: Revision
    /// The oldest message that can be read; head + 1 if there is none.
    public let oldest: SequenceNumber
    /// The changes that the store has not confirmed yet.
    public let unstoredChanges: Int
    public let pinnedCount: Int
    /// The first members, in the order in which they joined.
    public let members: [InspectedMember]
    /// The loops that receive the conversation's events.
    public let subscribers: [LoopID]
}

/// The state of a conversation that operators read.
extension Conversation {
    /// Nil if the conversation does not exist, or has not been read from the store yet.
    ///
    /// - Parameter now: a monotonic millisecond.
    public func summary(at now: Int64) -> ConversationSummary? {
        guard let record = self.record else { return nil }
        return ConversationSummary(
            record: record, updatedAt: self.updatedAt, memberCount: self.members.memberCount,
            presentCount: self.presence.presentCount, head: self.storedHead,
            retainedCount: max(0, self.storedHead - self.oldest + 1),
            messagesPerSecond: self.messageRate.perSecond(at: now))
    }

    /// As `summary`.
    ///
    /// - Parameter memberLimit: how many members the details have at most. A conversation may have
    ///   very many, and the owner's loop delivers nothing while it lists them.
    public func inspection(memberLimit: Int, at now: Int64) -> ConversationInspection? {
        guard let summary = self.summary(at: now) else { return nil }
        var members: [ConversationInspection.InspectedMember] = []
        for number in 0..<UInt32(self.members.count) where self.members.isMember(number) {
            guard members.count < memberLimit else { break }
            var loops: [LoopID] = []
            self.members[number].loops.forEach { loops.append($0) }
            members.append(.init(member: self.members[number].member, loops: loops))
        }
        return ConversationInspection(
            summary: summary, revision: self.storedRevision, oldest: self.oldest,
            unstoredChanges: self.revision - self.storedRevision,
            pinnedCount: self.pins.count, members: members,
            subscribers: self.subscribers.all.map(\.loop))
    }
}
