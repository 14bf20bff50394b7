import ChatModel

/// Somebody who is writing, until when unless it is said again.
struct Typist: Sendable {
    let person: Person
    var until: Int64
}

extension Conversation {
    mutating func typing(_ isTyping: Bool, by person: Person, at now: Moment, into effects: inout [ConversationEffect]) throws(ChatError) {
        let record = try self.checkedRecord(for: person.id)
        guard record.endedAt == nil else { throw .conversationEnded }
        guard isTyping else {
            self.stopTyping(person.id, into: &effects)
            return
        }
        let until = now.monotonic + self.rules.typing
        if let place = self.typists.firstIndex(where: { $0.person.id == person.id }) {
            self.typists[place].until = until
        } else {
            // Where very many write at once nobody reads who they are: the rest is not told.
            guard self.typists.count < self.rules.limits.typistsPerConversation else { return }
            self.typists.append(Typist(person: person, until: until))
        }
        effects.append(.event(.typing(person, true), revision: 0, asked: nil))
        self.wake(at: until, into: &effects)
    }

    mutating func stopTyping(_ user: UserID, into effects: inout [ConversationEffect]) {
        guard let place = self.typists.firstIndex(where: { $0.person.id == user }) else { return }
        effects.append(.event(.typing(self.typists.remove(at: place).person, false), revision: 0, asked: nil))
    }

    mutating func endTyping(at now: Moment, into effects: inout [ConversationEffect]) {
        guard !self.typists.isEmpty else { return }
        for typist in self.typists where typist.until <= now.monotonic {
            effects.append(.event(.typing(typist.person, false), revision: 0, asked: nil))
        }
        self.typists.removeAll { $0.until <= now.monotonic }
        if let next = self.typists.map(\.until).min() { self.wake(at: next, into: &effects) }
    }
}
