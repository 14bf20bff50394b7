import Bytes
import ChatModel

/// How many changes each user may still make to a conversation, over all nodes.
///
/// It has only the users that made some in the last moments; all others may make a whole burst.
struct SendRates: Sendable {
    private struct Allowance: Sendable {
        /// Below zero after an event that repeated much.
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
    mutating func admit(_ user: UInt32, _ limits: Limits, at time: Int64) throws(ChatError) {
        try self.consume(1, needing: 1, of: user, limits, at: time)
    }

    /// Counts stored text that an event repeats although the request did not carry it. The first
    /// KiB belongs to the request. What exceeds the allowance delays the user's next changes, so
    /// that any message can be pinned.
    ///
    /// Throws `ChatError.rateLimited` while an earlier one is still to be paid.
    mutating func admitRepeat(
        of bytes: Int, by user: UInt32, _ limits: Limits, at time: Int64
    ) throws(ChatError) {
        guard bytes >= Self.bytesPerChange else { return }
        try self.consume(
            Float(bytes / Self.bytesPerChange), needing: 0, of: user, limits, at: time)
    }

    private static let bytesPerChange = 1024

    /// - Parameter needed: the changes without which it throws; `cost` may be more.
    private mutating func consume(
        _ cost: Float, needing needed: Float, of user: UInt32, _ limits: Limits,
        at time: Int64
    ) throws(ChatError) {
        let rate = Float(limits.messagesPerSecond)
        // One second more than on the user's node: what that admits evenly may arrive together.
        let burst = Float(limits.messageBurst) + rate
        func available(_ allowance: Allowance) -> Float {
            let elapsed = time - allowance.at
            // The wall clock was set back.
            guard elapsed > -Self.clockTolerance else { return burst }
            return min(burst, allowance.changes + Float(max(0, elapsed)) * rate / 1000)
        }
        let known = self.allowances[user]
        let changes = known.map(available) ?? burst
        guard changes >= needed else {
            throw .rateLimited(retryAfterSeconds: Double((1 - changes) / rate))
        }
        if known == nil, self.allowances.count >= Int(self.purgeAt) {
            self.allowances = self.allowances.filter { available($0.value) < burst }
            self.purgeAt = Int32(clamping: max(64, 2 * self.allowances.count))
        }
        var at = time
        if let known, known.at > time, known.at - time < Self.clockTolerance { at = known.at }
        self.allowances[user] = Allowance(changes: changes - cost, at: at)
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

    /// Throws if the user causes events with more stored text than it may.
    ///
    /// - Parameter bytes: those of the text that the request does not carry.
    mutating func admitRepeat(
        of bytes: Int, by principal: Principal, from origin: RequestOrigin, at now: ClockReading
    ) throws(ChatError) {
        guard !origin.isRetry,
            let member = self.members.memberNumber(of: principal.person.id)
        else { return }
        try self.sendRates.admitRepeat(
            of: bytes, by: member, self.rules.limits, at: now.wall.milliseconds)
    }
}
