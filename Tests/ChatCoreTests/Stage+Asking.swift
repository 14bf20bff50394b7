import Bytes
import ChatModel

@testable import ChatCore

/// What people and loops ask, in the words of the tests.
extension Stage {
    mutating func enter(
        _ person: Person, listed: Bool = true, admin: Bool = false, kind: ConversationRecord.Kind = .conversations, on loop: OwnerID = east,
        request: RequestID? = nil
    ) -> [String] {
        let actor = Actor(person: person, isAdmin: admin)
        return self.ask(.enter(Entrance(actor: actor, isListed: listed, kind: kind)), on: loop, request: request)
    }

    mutating func join(_ person: Person, listed: Bool = false, request: RequestID? = nil) -> [String] {
        let actor = Actor(person: person, isAdmin: false)
        return self.ask(.join(Entrance(actor: actor, isListed: listed, kind: .conversations)), request: request)
    }

    mutating func say(
        _ words: String, by person: Person, id: String? = nil, on loop: OwnerID = east, request: RequestID? = nil, again: Bool = false
    ) -> [String] {
        self.ask(.post(.said(words, by: person, id: id)), on: loop, request: request, again: again)
    }

    mutating func edit(
        _ sequence: SequenceNumber, to words: String, by person: Person, admin: Bool = false, request: RequestID? = nil, again: Bool = false
    ) -> [String] {
        self.ask(.edit(sequence, content: words, by: Actor(person: person, isAdmin: admin)), request: request, again: again)
    }

    mutating func delete(_ sequence: SequenceNumber, by person: Person, admin: Bool = false, request: RequestID? = nil, again: Bool = false)
        -> [String]
    {
        self.ask(.delete(sequence, by: Actor(person: person, isAdmin: admin)), request: request, again: again)
    }

    mutating func read(_ sequences: SequenceNumber..., by person: Person) -> [String] {
        self.ask(.read(sequences, by: person.id))
    }

    mutating func type(_ isTyping: Bool = true, by person: Person) -> [String] {
        self.ask(.typing(isTyping, by: person))
    }

    mutating func part(_ person: Person, request: RequestID? = nil, again: Bool = false) -> [String] {
        self.ask(.part(person.id), request: request, again: again)
    }

    mutating func end(by person: Person, admin: Bool = false, request: RequestID? = nil, again: Bool = false) -> [String] {
        self.ask(.end(by: Actor(person: person, isAdmin: admin)), request: request, again: again)
    }

    mutating func describe(by person: Person, admin: Bool = false) -> [String] {
        self.ask(.describe(by: Actor(person: person, isAdmin: admin)))
    }

    // MARK: What loops tell

    mutating func leave(_ person: Person, on loop: OwnerID = east) -> [String] {
        self.handle(.leave(person.id), from: Origin(loop: loop, request: 0))
    }

    mutating func detach(_ loop: OwnerID) -> [String] {
        self.handle(.detach, from: Origin(loop: loop, request: 0))
    }

    mutating func deliver(_ range: ClosedRange<SequenceNumber>, to person: Person, on loop: OwnerID = east) -> [String] {
        self.handle(.delivered(person.id, range), from: Origin(loop: loop, request: 0))
    }

    mutating func attach(
        _ loop: OwnerID, present: [Person] = [], entering: [Person] = [], heard: [Person] = [], delivered: [DeliveryReport] = [],
        revision: Revision = 0, through: SequenceNumber = 0
    ) -> [String] {
        self.handle(
            .attach(
                Attachment(present: present, entering: entering, heard: heard, delivered: delivered, revision: revision, through: through)),
            from: Origin(loop: loop, request: 1))
    }
}
