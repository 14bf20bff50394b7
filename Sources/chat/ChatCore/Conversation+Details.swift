import ChatModel

/// Answers with the details of the conversation.
extension Conversation {
    mutating func describe(
        for principal: Principal, _ readAccess: ReadAccess, _ selection: MemberSelection,
        from origin: RequestOrigin, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let user = principal.person.id
        _ = try self.readableRecord(for: user, readAccess)
        self.answerDetails(to: origin, of: user, selection, into: &effects)
    }

    /// - Parameter viewer: the user that asks; nil if the answer need not have its membership.
    mutating func answerDetails(
        to origin: RequestOrigin, of viewer: UserID? = nil,
        _ selection: MemberSelection = .shown, into effects: inout [ConversationEffect]
    ) {
        guard var record = self.record else {
            return effects.append(.answer(.failed(.noSuchConversation), to: origin))
        }
        record.updatedAt = self.updatedAt
        let selected = self.members.select(
            selection, showsAllGuests: record.joinPolicy != .open)
        let asker = viewer.flatMap { self.members.memberNumber(lookingLike: $0) }
        var online: Set<UserID> = []
        for number in selected.numbers + (asker.map { [$0] } ?? [])
        where self.members[number].isPresent {
            online.insert(self.members[number].member.user)
        }
        let description = ConversationDetails(
            record: record, head: self.storedHead,
            members: selected.numbers.map { self.members[$0].member },
            online: online,
            participantCount: selected.participantCount,
            viewer: asker.map { self.members[$0].member },
            readers: selected.readers.map { self.members[$0].member },
            lastMessage: self.lastMessage)
        effects.append(.answer(.described(description), to: origin))
    }
}
