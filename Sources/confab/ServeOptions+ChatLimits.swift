import ChatModel
import Configuration

extension ServeOptions {
    /// The limits that the chat engine enforces.
    var chatLimits: ChatLimits {
        var limits = ChatLimits()
        limits.contentBytes = self.limits.contentBytes
        limits.metadataBytes = self.limits.metadataBytes
        limits.membersPerConversation = self.limits.members
        limits.answerBytes = self.limits.outboundBytes
        limits.pageBytes = self.limits.pageBytes
        limits.messagesPerSecond = self.limits.messagesPerSecond
        // One second more than on the user's node: what that admits evenly may arrive together.
        limits.messageBurst = self.limits.messageBurst + self.limits.messagesPerSecond
        limits.typingTimeout = self.limits.typing
        limits.historyLimit = self.history
        limits.traceRecords = self.limits.traceSteps
        // A failover of Redis may lose writes that it has acknowledged, so they are retained for a
        // while.
        if case .redis = self.store { limits.retention = .seconds(60) }
        return limits
    }
}

extension DefaultAccess {
    var joinPolicy: ConversationRecord.JoinPolicy { self == .open ? .open : .closed }
}
