import ChatModel

/// How many messages each author may still send to a conversation.
///
/// It holds only the authors that have sent something in the last moments: the others may send a
/// whole burst.
struct SendRates: Sendable {
    private struct Allowance: Sendable {
        var messages: Float
        /// In monotonic milliseconds.
        var at: Int64
    }

    private var allowances: [UInt32: Allowance] = [:]
    private var purgeAt = 64

    var count: Int { self.allowances.count }

    /// Throws `ChatError.rateLimited` if the author sends faster than the limits allow.
    ///
    /// - Parameter author: its number in the member table.
    mutating func admit(_ author: UInt32, _ limits: ChatLimits, at now: Int64) throws(ChatError) {
        guard limits.messagesPerSecond != .max else { return }
        let (rate, burst) = (Float(limits.messagesPerSecond), Float(limits.messageBurst))
        func allowed(_ allowance: Allowance) -> Float {
            min(burst, allowance.messages + Float(now - allowance.at) * rate / 1000)
        }
        let messages = self.allowances[author].map(allowed) ?? burst
        guard messages >= 1 else {
            throw .rateLimited(retryAfterSeconds: Double((1 - messages) / rate))
        }
        if self.allowances[author] == nil, self.allowances.count >= self.purgeAt {
            self.allowances = self.allowances.filter { allowed($0.value) < burst }
            self.purgeAt = max(64, 2 * self.allowances.count)
        }
        self.allowances[author] = Allowance(messages: messages - 1, at: now)
    }
}
