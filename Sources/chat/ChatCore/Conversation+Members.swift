import Bytes
import ChatModel

/// Members that the creator or an admin adds and removes.
extension Conversation {
    /// Where the name of a user that joins is from.
    enum Naming {
        /// The user's own token or, without one, the user.
        case own
        /// Another user.
        case given
        /// The name that the conversation has.
        case kept
    }

    /// Makes a user a member, as if its token listed the conversation. A member keeps its name, and
    /// a former one the name of its own token.
    mutating func addMember(
        _ person: Person, by principal: Principal, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let record = try self.recordManaged(by: principal)
        guard record.endedAt == nil else { throw .conversationEnded }
        let known = self.members.number(of: person.id).flatMap { number in
            let member = self.members[number].member
            // A former author that is not loaded has its id as its name, and a removed member none.
            let isOwnName =
                !member.isNameGiven && member.name.byteCount > 0 && member.name != member.user.name
            return self.members.isMember(number) || isOwnName ? self.members[number].person : nil
        }
        let request = JoinRequest(
            principal: Principal(person: known ?? person, isAdmin: false), isListedInToken: true,
            template: .unknown)
        // An admin speaks for the service that issues the tokens.
        try self.join(
            request, subscribing: false, isAdded: true,
            as: known != nil ? .kept : principal.isAdmin ? .own : .given, from: origin, at: now,
            into: &effects)
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
            guard !self.areWritesUnavailable else { throw self.unavailability }
            // The answer follows the last of the guests of one name.
            for number in numbers {
                self.endMembership(
                    number, rememberedAs: .removed, from: number == last ? origin : nil, at: now,
                    into: &effects)
            }
        } else if let index = self.pendingChanges.lastIndex(where: { $0.isDeparture(of: user) }) {
            self.pendingChanges[index].addRequester(origin)
        } else {
            guard origin.isRetry else { throw .noSuchMember }
            effects.append(.answer(.done, to: origin))
        }
    }

    /// Changes properties of the conversation. Closing it removes no member.
    mutating func update(
        _ update: ConversationUpdate, by principal: Principal, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let record = try self.recordManaged(by: principal)
        let updated = try update.applied(to: record)
        guard updated != record, !self.completed.contains(origin) else {
            // It may be in flight.
            if let index = self.pendingChanges.lastIndex(where: \.isUpdate) {
                self.pendingChanges[index].addRequester(origin)
            } else {
                self.answerDetails(to: origin, into: &effects)
            }
            return
        }
        guard !self.areWritesUnavailable else { throw self.unavailability }
        try self.admitRepeat(
            of: updated.title.utf8.count + updated.dialectData.byteCount, by: principal,
            from: origin, at: now)
        self.record = updated
        self.write(
            .update(updated), then: .updated(updated, by: principal.person), from: origin,
            into: &effects)
    }

    /// The record, for a member or an otherwise admitted user.
    func checkedRecord(for user: UserID, orIf isAdmitted: Bool = false) throws(ChatError)
        -> ConversationRecord
    {
        guard let record = self.record else { throw .noSuchConversation }
        guard isAdmitted || self.members.memberNumber(of: user) != nil else {
            throw self.refusalOfNonMember
        }
        return record
    }

    /// The record, for the creator or an admin. The creator need not be a member: in some protocols
    /// it never was, and it may add itself.
    func recordManaged(by principal: Principal) throws(ChatError) -> ConversationRecord {
        guard let record = self.record else { throw .noSuchConversation }
        guard principal.isAdmin || self.isCreator(principal.person.id) else {
            _ = try self.checkedRecord(
                for: principal.person.id, orIf: record.joinPolicy == .open)
            throw .notAllowed("the creator of a conversation or an admin")
        }
        return record
    }
}
