import Bytes
import ChatModel

/// Members that the creator or an admin adds and removes.
extension Conversation {
    /// Makes a user a member, as if its token listed the conversation. A member keeps its name.
    mutating func addMember(
        _ person: Person, by principal: Principal, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let record = try self.recordManaged(by: principal)
        guard record.endedAt == nil else { throw .conversationEnded }
        let member = self.members.memberNumber(of: person.id).map { self.members[$0].person }
        let request = JoinRequest(
            principal: Principal(person: member ?? person, isAdmin: false), isListedInToken: true,
            template: .unknown)
        try self.join(request, subscribing: false, from: origin, at: now, into: &effects)
    }

    /// Ends a user's membership. A request for the same removal gets the same answer while the
    /// first one is in flight.
    mutating func removeMember(
        _ user: UserID, by principal: Principal, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        _ = try self.recordManaged(by: principal)
        let numbers = self.members.memberNumbers(lookingLike: user)
        if let last = numbers.last {
            guard !self.areWritesUnavailable else { throw .unavailable }
            // The answer follows the last of the guests of one name.
            for number in numbers.dropLast() {
                self.endMembership(number, from: nil, at: now, into: &effects)
            }
            self.endMembership(last, from: origin, at: now, into: &effects)
        } else if let index = self.pendingChanges.lastIndex(where: { $0.isDeparture(of: user) }) {
            self.pendingChanges[index].addRequester(origin)
        } else {
            guard origin.isRetry else { throw .noSuchMember }
            effects.append(.answer(.done, to: origin))
        }
    }

    /// The record, for the creator or an admin. The creator need not be a member: in some protocols
    /// it never was, and it may add itself.
    private func recordManaged(by principal: Principal) throws(ChatError) -> ConversationRecord {
        guard let record = self.record else { throw .noSuchConversation }
        guard principal.isAdmin || record.creator == principal.person.id else {
            throw .notAllowed("the creator of a conversation or an admin")
        }
        return record
    }
}
