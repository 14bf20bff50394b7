import Bytes
import ChatCore
import ChatEngine
import ChatModel

// People, messages and times for tests.

extension Person {
    static let alice = Person.named("alice")
    static let bob = Person.named("bob")
    static let carol = Person.named("carol")

    static func named(_ name: String) -> Person {
        Person(id: UserID(tokenSubject: ByteString(name)), name: ByteString(name))
    }

    var comesOnline: PresenceChange {
        PresenceChange(person: self, isOnline: true, at: ClockReading.sample(0).wall)
    }
    var goesOffline: PresenceChange {
        PresenceChange(person: self, isOnline: false, at: ClockReading.sample(0).wall)
    }
}

extension MessageBody {
    static func said(_ content: String, by author: Person, id: String? = nil) -> MessageBody {
        MessageBody(
            author: author, clientMessageID: id.map { ClientMessageID(given: ByteString($0))! },
            content: content)
    }
}

extension Message {
    /// The message with this number, and with the same revision unless another is given.
    static func sample(
        _ sequence: SequenceNumber, revision: Revision? = nil, by author: Person = .bob
    ) -> Message {
        Message(
            sequence: sequence, revision: revision ?? sequence, sentAt: Timestamp(milliseconds: 0),
            body: .said("words \(sequence)", by: author))
    }
}

extension ClockReading {
    static func sample(_ milliseconds: Int64) -> ClockReading {
        ClockReading(
            monotonic: milliseconds, wall: Timestamp(milliseconds: 1_700_000_000_000 + milliseconds)
        )
    }
}

extension ConversationKey {
    static func numbered(_ number: Int) -> ConversationKey {
        ConversationKey(tenant: "default", id: ByteString("talk-\(number)"))
    }
}

extension LoopID {
    static let near = LoopID(incarnation: 1, loop: 0)
    static let far = LoopID(incarnation: 2, loop: 0)
    static let third = LoopID(incarnation: 3, loop: 0)
}
