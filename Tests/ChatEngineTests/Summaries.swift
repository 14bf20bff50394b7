import ChatCore
import ChatModel

@testable import ChatEngine

// Short descriptions, so that a test can compare a whole sequence of events as one list.

extension Delivery {
    /// `3 hello ← 7`: message 3, which is also the answer to request 7.
    /// `7: posted 3, also an event`: an answer whose message the feed delivers too.
    var summary: String {
        switch self {
        case .event(_, let event, let context):
            event.summary + (context.map { " ← \($0.rawValue)" } ?? "")
        case .answer(let context, let answer, let isAlsoEvent, let isLate):
            "\(context.rawValue): \(answer.summary)" + (isAlsoEvent ? ", also an event" : "")
                + (isLate ? " later" : "")
        case .page(let context, let page):
            "\(context.rawValue): page \(page.messages.map(\.summary))"
        case .pageFailed(let context): "\(context.rawValue): no page"
        }
    }
}

extension Message {
    var summary: String {
        self.state == .deleted
            ? "\(self.sequence) deleted" : "\(self.sequence) \(self.body.content)"
    }
}

extension ChatEvent {
    var summary: String {
        switch self {
        case .created: "created"
        case .posted(let message): message.summary
        case .edited(let message): "edited \(message.summary)"
        case .deleted(let message): message.summary
        case .reacted(let message): "reacted \(message.summary)"
        case .pinned(let message): "pinned \(message.summary)"
        case .unpinned(let message): "unpinned \(message.summary)"
        case .joined(let member): "\(member.user) joined"
        case .renamed(let member): "\(member.user) renamed"
        case .left(let member, _): "\(member.user) left"
        case .ended(let user, _): "ended by \(user)"
        case .updated(let record, let person, _): "\(record.title) updated by \(person.id)"
        case .typing(let person, let isTyping):
            "\(person.id) \(isTyping ? "types" : "stops typing")"
        case .read(let person, let sequences, _): "\(person.id) read \(sequences)"
        case .status(_, let status, let sequences, _): "\(sequences) \(status)"
        case .presence(let changes):
            changes.map { ($0.isOnline ? "+" : "-") + $0.person.id.description }.joined(
                separator: " ")
        case .crowd(let online, _): "crowd of \(online)"
        }
    }
}

extension ChatAnswer {
    var summary: String {
        switch self {
        case .joined(let joinResult): "joined at \(joinResult.head)"
        case .posted(let message, _): "posted \(message.sequence)"
        case .amended(let message): "amended \(message.sequence)"
        case .read: "read"
        case .done: "done"
        case .described: "described"
        case .pins(let messages): "pins \(messages.map(\.sequence))"
        case .receipts(let receipts): "receipts of \(receipts.total)"
        case .failed(.unavailable): "unavailable"
        case .failed(.rejected): "rejected"
        case .failed(.outcomeUnknown): "outcome unknown"
        case .failed(let error): "refused: \(error)"
        }
    }
}

extension Envelope.Item {
    var summary: String {
        switch self {
        case .input(let input): input.input.summary + (input.isRetry ? ", retry" : "")
        case .answer(_, let answer, _): "answer \(answer.summary)"
        case .event(let notification): "event \(notification.event.summary)"
        case .notOwner: "not owner"
        case .reattach: "reattach"
        case .resynchronize: "resynchronize"
        case .recoveryQuery: "recovery query"
        }
    }
}

extension ConversationInput {
    var summary: String {
        switch self {
        case .command(.joinAndSubscribe(let entrance)): "\(entrance.principal.person.id) joins"
        case .command(.post(let body)): "\(body.author.id) says \(body.content)"
        case .command(.typing(let isTyping, let person)):
            "\(person.id) \(isTyping ? "types" : "stops typing")"
        case .command(.delete(let sequence, _)): "delete \(sequence)"
        case .command: "command"
        case .unsubscribe(let user): "\(user) unsubscribes"
        case .attach(let attachment):
            "attach "
                + (attachment.present + attachment.joining).map(\.id.description).joined(
                    separator: " ")
        case .detach: "detach"
        case .delivered(let user, let range): "\(user) received \(range)"
        case .offerRetained(let changes): "offers \(changes.map(\.revision))"
        }
    }
}

extension StoreRequest {
    var summary: String {
        switch self {
        case .claim: "claim"
        case .load: "load"
        case .recent: "recent"
        case .write(let batch): "write \(batch.writes.count)"
        case .page: "page"
        case .thread: "thread"
        case .search: "search"
        case .changes: "changes"
        case .amended: "amended"
        case .unread: "unread"
        case .memberships: "memberships"
        case .catalog: "catalog"
        case .numbers: "numbers"
        case .users: "users"
        case .nextNumber: "next number"
        case .bans: "bans"
        case .ban: "ban"
        case .unban: "unban"
        case .conversations: "conversations"
        case .examine: "examine"
        case .repair: "repair"
        case .outbox: "outbox"
        case .probe: "probe"
        }
    }

    var isWrite: Bool { if case .write = self { true } else { false } }
}
