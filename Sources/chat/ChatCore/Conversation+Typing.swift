import ChatModel

/// A user that is typing, and when that expires unless it is renewed.
struct TypingUser: Sendable {
    let person: Person
    var until: Int64
}

extension Conversation {
    mutating func setTyping(
        _ isTyping: Bool, by person: Person, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let record = try self.checkedRecord(for: person.id)
        guard record.endedAt == nil else { throw .conversationEnded }
        guard isTyping else {
            self.stopTyping(person.id, into: &effects)
            return
        }
        let until = now.monotonic + self.rules.typingTimeout
        if let index = self.typingUsers.firstIndex(where: { $0.person.id == person.id }) {
            self.typingUsers[index].until = until
        } else {
            // If very many users type at once, their names are of no use to readers: the rest is
            // not announced.
            guard self.typingUsers.count < self.rules.limits.typingUsersPerConversation
            else { return }
            self.typingUsers.append(TypingUser(person: person, until: until))
        }
        effects.append(.event(.typing(person, true), revision: 0, origin: nil))
        self.wake(at: until, into: &effects)
    }

    mutating func stopTyping(_ user: UserID, into effects: inout [ConversationEffect]) {
        guard let index = self.typingUsers.firstIndex(where: { $0.person.id == user }) else {
            return
        }
        effects.append(
            .event(
                .typing(self.typingUsers.remove(at: index).person, false), revision: 0, origin: nil)
        )
    }

    mutating func expireTyping(at now: ClockReading, into effects: inout [ConversationEffect]) {
        guard !self.typingUsers.isEmpty else { return }
        for typist in self.typingUsers where typist.until <= now.monotonic {
            effects.append(.event(.typing(typist.person, false), revision: 0, origin: nil))
        }
        self.typingUsers.removeAll { $0.until <= now.monotonic }
        if let next = self.typingUsers.map(\.until).min() { self.wake(at: next, into: &effects) }
    }
}
