import Bytes
import ChatModel

/// How many changes each user may still make to a conversation, over all nodes.
///
/// It has only the users that made some in the last moments; all others may make a whole burst.
struct SendRates: Sendable {
    private struct Allowance: Sendable {
        var changes: Float
        /// In wall milliseconds.
        var at: Int64
    }

    /// By the users' numbers in the member table.
    private var allowances: [UInt32: Allowance] = [:]
    private var purgeAt: Int32 = 64

    /// Throws `ChatError.rateLimited` if the user makes changes faster than the limits allow.
    ///
    /// - Parameter time: when a node received the request, in wall milliseconds. While an owner or
    ///   the store is unavailable, requests wait and then arrive together.
    mutating func admit(_ user: UInt32, _ limits: ChatLimits, at time: Int64) throws(ChatError) {
        guard limits.messagesPerSecond != .max else { return }
        let (rate, burst) = (Float(limits.messagesPerSecond), Float(limits.messageBurst))
        func available(_ allowance: Allowance) -> Float {
            let elapsed = time - allowance.at
            // The wall clock was set back.
            guard elapsed > -Self.clockTolerance else { return burst }
            return min(burst, allowance.changes + Float(max(0, elapsed)) * rate / 1000)
        }
        let known = self.allowances[user]
        let changes = known.map(available) ?? burst
        guard changes >= 1 else {
            throw .rateLimited(retryAfterSeconds: Double((1 - changes) / rate))
        }
        if known == nil, self.allowances.count >= Int(self.purgeAt) {
            self.allowances = self.allowances.filter { available($0.value) < burst }
            self.purgeAt = Int32(clamping: max(64, 2 * self.allowances.count))
        }
        var at = time
        if let known, known.at > time, known.at - time < Self.clockTolerance { at = known.at }
        self.allowances[user] = Allowance(changes: changes - 1, at: at)
    }

    /// By how much the clocks of nodes may differ, in milliseconds.
    private static let clockTolerance: Int64 = 10_000

    var count: Int { self.allowances.count }
}

extension Conversation {
    /// Throws if the author sends faster than it may.
    ///
    /// A retry was admitted before. All authors of an inbox share one number; their nodes limit
    /// them.
    mutating func admitSend(
        by author: UInt32, from origin: RequestOrigin, at now: ClockReading
    ) throws(ChatError) {
        guard !self.isInbox, !origin.isRetry else { return }
        let acceptedAt = origin.acceptedAt > 0 ? origin.acceptedAt / 1000 : now.wall.milliseconds
        try self.sendRates.admit(author, self.rules.limits, at: acceptedAt)
    }

    /// Throws if the user changes messages faster than it may.
    mutating func admitChange(
        by principal: Principal, from origin: RequestOrigin, at now: ClockReading
    ) throws(ChatError) {
        guard !origin.isRetry,
            let member = self.members.memberNumber(of: principal.person.id)
        else { return }
        try self.sendRates.admit(member, self.rules.limits, at: now.wall.milliseconds)
    }
}
