import Bytes
import ChatModel

@testable import ChatCore

let ann = Person(id: UserID(tokenSubject: "ann"), name: "Ann")
let bob = Person(id: UserID(tokenSubject: "bob"), name: "Bob")
let cid = Person(id: UserID(tokenSubject: "cid"), name: "Cid")
let dan = Person(id: UserID(tokenSubject: "dan"), name: "Dan")

/// Loops of two nodes.
let east = LoopID(incarnation: 1, loop: 0)
let west = LoopID(incarnation: 2, loop: 0)

/// Many users with generated names.
func makePeople(_ count: Int) -> [Person] {
    (1...count).map {
        Person(id: UserID(tokenSubject: ByteString("p\($0)")), name: ByteString("P\($0)"))
    }
}

/// The line of an answer with an error.
func refused(_ error: ChatError) -> String { "answer: refused, \(error)" }

extension MessageBody {
    static func text(_ content: String, by person: Person, id: String? = nil) -> MessageBody {
        MessageBody(
            author: person, clientMessageID: id.flatMap { ClientMessageID(given: ByteString($0)) },
            content: content)
    }
}

/// The text of a conversation's effects in tests: `answer: posted 1 hi`, `event: joined bob`,
/// `notify east: read 1 of ann`. A request's id follows if the test chose it.
enum EffectText {
    static func answer(_ answer: ChatAnswer, to origin: RequestOrigin) -> String {
        "answer\(Self.name(of: origin, before: " ")): \(Self.text(answer))"
    }

    static func event(_ event: ChatEvent, origin: RequestOrigin?) -> String {
        let name = origin.map { Self.name(of: $0, before: ", answers ") } ?? ""
        return "event: \(Self.text(event))\(name)"
    }

    static func notification(_ event: ChatEvent, _ loops: LoopSet) -> String {
        var names: [String] = []
        loops.forEach { names.append($0 == east ? "east" : "west") }
        return "notify \(names.sorted().joined(separator: " ")): \(Self.text(event))"
    }

    static func storeRequest(_ request: ConversationFixture.PendingStoreRequest) -> String {
        switch request {
        case .load: "load"
        case .loadRecents: "load recents"
        case .readHistory(let sequence, let limit): "read \(limit) after \(sequence)"
        case .lookUp(let sequence, _): "look up \(sequence)"
        case .write(let change, let revision, _):
            revision == 0 ? Self.text(change) : "\(revision) \(Self.text(change))"
        }
    }

    private static func name(of origin: RequestOrigin, before: String) -> String {
        (1..<1000).contains(origin.request.rawValue) ? "\(before)\(origin.request.rawValue)" : ""
    }

    private static func text(_ answer: ChatAnswer) -> String {
        switch answer {
        case .joined: "joined"
        case .posted(let message, let isRepeat):
            "\(isRepeat ? "repeats" : "posted") \(Self.text(message))"
        case .amended(let message): "\(message.state) \(Self.text(message))"
        case .read(let unknown): unknown.isEmpty ? "read" : "read, unknown \(Self.list(unknown))"
        case .done: "done"
        case .pins(let messages): "pins \(Self.list(messages.map(\.sequence)))"
        case .described: "described"
        case .receipts(let receipts):
            "receipts"
                + receipts.highest.map { " \($0.user) \($0.read)/\($0.delivered)" }.joined()
                + " of \(receipts.total)"
        case .failed(let error): "refused, \(error)"
        }
    }

    private static func text(_ event: ChatEvent) -> String {
        switch event {
        case .created: "created"
        case .posted(let message): "posted \(Self.text(message))"
        case .edited(let message): "edited \(Self.text(message))"
        case .deleted(let message): "deleted \(Self.text(message))"
        case .reacted(let message):
            "reactions of \(message.sequence):\(Self.reactions(message))"
        case .pinned(let message):
            "pinned \(message.sequence) by \(message.body.annotations!.pin!.by.id)"
        case .unpinned(let message):
            "unpinned \(message.sequence) by \(message.body.annotations!.pin!.by.id)"
        case .joined(let member): "joined \(member.user)"
        case .renamed(let member): "renamed \(member.user) \(member.name)"
        case .left(let member, _): "left \(member.user)"
        case .ended(let user, _): "ended by \(user)"
        case .updated(let record, let person, let revision):
            "updated by \(person.id) rev \(revision): \(record.propertyText)"
        case .typing(let person, let isTyping):
            "\(person.id) \(isTyping ? "types" : "stops typing")"
        case .read(let person, let sequences, _): "\(person.id) read \(Self.list(sequences))"
        case .status(let author, let status, let sequences, _):
            "\(status) \(Self.list(sequences)) of \(author)"
        case .presence(let changes): "presence\(Self.text(changes))"
        case .crowd(let online, let changes): "crowd of \(online)\(Self.text(changes))"
        }
    }

    private static func text(_ change: Write.Change) -> String {
        switch change {
        case .create: "create"
        case .message(let message): "message \(Self.text(message))"
        case .amend(let message, _, _): "amend \(Self.text(message))"
        case .member(let member) where !member.role.isMember:
            "\(member.role) \(member.user)"
        case .member(let member): "member \(member.user) \(member.name)"
        case .update(let record): "update \(record.propertyText)"
        case .remove(let user): "remove \(user)"
        case .cursors(let user, let read, let delivered):
            "cursors \(user) read \(read) delivered \(delivered)"
        case .end: "end"
        case .skip: "skip"
        }
    }

    private static func text(_ message: Message) -> String {
        message.body.content.isEmpty
            ? "\(message.sequence)" : "\(message.sequence) \(message.body.content)"
    }

    private static func reactions(_ message: Message) -> String {
        message.body.annotations!.reactions!.groups.map {
            " \($0.emoji)\($0.users.map(\.description).joined(separator: ","))"
        }.joined()
    }

    private static func text(_ changes: [PresenceChange]) -> String {
        changes.map { " \($0.isOnline ? "+" : "-")\($0.person.id)" }.sorted().joined()
    }

    private static func list(_ sequences: [SequenceNumber]) -> String {
        sequences.map(String.init).joined(separator: ",")
    }
}

extension ConversationRecord {
    /// Such as `Tea open listed`.
    fileprivate var propertyText: String {
        "\(self.title) \(self.joinPolicy)\(self.isListed ? " listed" : "")"
    }
}
