import Bytes
import ChatModel

/// The places of guests among the members.
extension Conversation {
    /// Ends the memberships of guests without a token that had the name of this one and have been
    /// absent for long.
    ///
    /// A client without a token is another guest with each connection. Otherwise it would become
    /// one member more each time. But another client may have the same name, and a conversation
    /// that is closed now would not admit a guest that resumes its connection.
    mutating func removeFormerGuests(
        _ user: UserID, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard user.isConnectionGuest, self.record?.joinPolicy == .open,
            now.monotonic >= self.presence.reportsDueBy
        else { return }
        for number in self.members.memberNumbers(lookingLike: user)
        where self.isLongAbsentGuest(number, at: now) {
            self.endMembership(number, rememberedAs: nil, from: nil, at: now, into: &effects)
        }
    }

    private func isLongAbsentGuest(_ number: UInt32, at now: ClockReading) -> Bool {
        let entry = self.members[number]
        guard entry.member.user.isConnectionGuest, !entry.isPresent, entry.member.role != .creator
        else { return false }
        guard let absentSince = entry.absentSince else {
            return now.wall.milliseconds - entry.member.joinedAt.milliseconds
                >= ConversationRules.guestMembership
        }
        return now.monotonic - absentSince >= Timestamp.guestLifetime
    }

    /// Ends the membership of an absent guest if the conversation has its most members.
    ///
    /// A client can become any number of guests, and must not keep others out by that. A guest of
    /// an open conversation can join again. A closed one would not admit it, so it keeps its place.
    mutating func makePlace(
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let limit = self.rules.limits.members
        guard self.members.memberCount >= limit else { return }
        guard self.record?.joinPolicy == .open else { throw .tooManyMembers(limit: limit) }
        guard now.monotonic >= self.presence.reportsDueBy else { throw .unavailable }
        guard let guest = self.members.nextAbsentGuest() else {
            throw .tooManyMembers(limit: limit)
        }
        self.endMembership(guest, rememberedAs: nil, from: nil, at: now, into: &effects)
    }
}
