import ChatCore
import ChatModel

// Descriptions for the log.

extension ConversationInput {
    var summary: String {
        switch self {
        case .command(let command): command.summary
        case .unsubscribe(let user): "\(user) unsubscribes"
        case .attach(let attachment):
            "attach \(attachment.present.map(\.id)) (\(attachment.joining.map(\.id)) joining)"
        case .detach: "detach"
        case .delivered(let user, let range): "\(user) received \(range)"
        case .offerRetained(let changes): "offers \(changes.map(\.revision))"
        }
    }
}

extension ChatCommand {
    var summary: String {
        switch self {
        case .joinAndSubscribe(let joinRequest):
            "\(joinRequest.principal.person.id) joins and subscribes"
        case .create(let conversation): "\(conversation.creator.person.id) creates it"
        case .post(let body): "\(body.author.id) says \"\(body.content)\""
        case .edit(let sequence, let content, let principal):
            "\(principal.person.id) edits \(sequence) to \"\(content)\""
        case .delete(let sequence, let principal): "\(principal.person.id) deletes \(sequence)"
        case .react(let sequence, let emoji, let isOn, let principal):
            "\(principal.person.id) reacts to \(sequence): \(emoji) \(isOn)"
        case .pin(let sequence, let principal): "\(principal.person.id) pins \(sequence)"
        case .unpin(let sequence, let principal): "\(principal.person.id) unpins \(sequence)"
        case .pins: "pins"
        case .read(let sequences, let user): "\(user) reads \(sequences)"
        case .readThrough(let sequence, let user): "\(user) reads all up to \(sequence)"
        case .typing(let isTyping, let person): "\(person.id) types: \(isTyping)"
        case .join(let joinRequest): "\(joinRequest.principal.person.id) joins"
        case .leave(let user): "\(user) leaves"
        case .update(_, let principal): "\(principal.person.id) changes it"
        case .receipts(let user): "\(user) reads the receipts"
        case .addMember(let person, let principal): "\(principal.person.id) adds \(person.id)"
        case .removeMember(let user, let principal): "\(principal.person.id) removes \(user)"
        case .end(let principal): "\(principal.person.id) ends it"
        case .describe: "describe"
        }
    }
}

extension ChatAnswer {
    var summary: String {
        switch self {
        case .joined(let joinResult):
            "joined at \(joinResult.head) r\(joinResult.revision), "
                + "\(joinResult.present.map(\.person.id)) online"
        case .posted(let message, _): "posted \(message.sequence)"
        case .amended(let message): "amended \(message.sequence)"
        case .read: "read"
        case .done: "done"
        case .pins(let messages): "pins \(messages.map(\.sequence))"
        case .receipts(let receipts): "receipts of \(receipts.total)"
        case .described: "described"
        case .failed(let error): "failed: \(error)"
        }
    }
}

extension ChatEvent {
    var summary: String {
        switch self {
        case .created: "created"
        case .posted(let message): "\(message.sequence) \"\(message.body.content)\""
        case .edited(let message): "\(message.sequence) edited"
        case .deleted(let message): "\(message.sequence) deleted"
        case .reacted(let message): "reactions of \(message.sequence)"
        case .pinned(let message): "\(message.sequence) pinned"
        case .unpinned(let message): "\(message.sequence) unpinned"
        case .joined(let member): "\(member.user) joined"
        case .renamed(let member): "\(member.user) renamed"
        case .left(let member, _): "\(member.user) left"
        case .ended: "ended"
        case .updated(let record, _, _): "updated to \(record.title)"
        case .typing(let person, let isTyping): "\(person.id) typing \(isTyping)"
        case .read(let person, let sequences, _): "\(person.id) read \(sequences)"
        case .status(let author, let status, let sequences, _): "\(author)'s \(sequences) \(status)"
        case .presence(let changes):
            "presence \(changes.map { ($0.isOnline ? "+" : "-") + $0.person.id.description })"
        case .crowd(let online, _): "crowd of \(online)"
        }
    }
}

extension Write {
    var summary: String {
        let change =
            switch self.change {
            case .create: "the conversation"
            case .message(let message): "\(message.sequence) \"\(message.body.content)\""
            case .amend(let message, _, _): "\(message.sequence) as \(message.state)"
            case .member(let member): "\(member.role) \(member.user)"
            case .update(let record): "the title \(record.title)"
            case .remove(let user): "removed member \(user)"
            case .cursors(let user, let read, let delivered):
                "\(user)'s \(read) read and \(delivered) delivered"
            case .skip: "nothing"
            case .end: "the end"
            }
        return "\(self.conversation.id) r\(self.revision) \(change)"
    }
}
