import Bytes
import ChatModel
import ChatSimulation

@testable import ChatCore

/// Retained changes as text, so that a history fits into a row of a table.
///
/// | text | change |
/// |---|---|
/// | `1:create` | the creation, with revision 1 |
/// | `2:a1` | message 1, which the send `a` created, with revision 2 |
/// | `2:a1'` | the same send, accepted by another master a moment later |
/// | `2:lost1` | what fills the number of a lost message |
/// | `3:a1*`, `3:a1-` | its edit, its deletion |
/// | `3:a1+`, `3:a1^` | Bob's reaction to it, its pin |
/// | `3:join`, `3:leave`, `3:end`, `3:skip` | a membership, the end, a skipped revision |
///
/// A final `?` marks a change that the store has not acknowledged.
extension RetainedWrite {
    init(_ text: some StringProtocol) {
        let isAcknowledged = !text.hasSuffix("?")
        let fields = text.split { $0 == ":" || $0 == "?" }
        self.init(
            revision: Int(fields[0])!, change: Self.change(fields[1].description, Int(fields[0])!),
            storedAt: 0, isAcknowledged: isAcknowledged)
    }

    static func history(_ text: String) -> [RetainedWrite] {
        text.split(separator: " ").map { RetainedWrite($0) }
    }

    private static func change(_ text: String, _ revision: Revision) -> Write.Change {
        let time = Timestamp(milliseconds: 5000)
        switch text {
        case "create", "create'":
            let created = Timestamp(milliseconds: text == "create" ? 1000 : 1007)
            return .create(
                ConversationRecord(.listed, creator: ann.id, createdAt: created))
        case "join":
            return .member(Member(user: bob.id, name: bob.name, role: .member, joinedAt: time))
        case "leave": return .remove(bob.id)
        case "end": return .end(at: time)
        case "skip": return .skip
        default: break
        }
        let sequence = Int(text.dropFirst().filter(\.isNumber))!
        let message = Message(
            sequence: sequence, revision: revision,
            sentAt: Timestamp(milliseconds: 2000 + Int64(sequence) + (text.hasSuffix("'") ? 7 : 0)),
            body: MessageBody(
                author: ann,
                clientMessageID: text.hasPrefix("lost")
                    ? nil : ClientMessageID(given: ByteString(String(text.prefix(1))))!,
                content: "text"))
        return switch text.last {
        case "*":
            .amend(
                message.edited(to: "other text", revision: revision),
                .edited(content: "other text"), at: time)
        case "-": .amend(message.deleted(revision: revision), .deleted, at: time)
        case "+": Self.amended(message, .reacted([ReactionChange(heart, by: bob.id, isOn: true)]))
        case "^": Self.amended(message, .pinned(PinState(isPinned: true, by: bob, at: time)))
        default: .message(message)
        }
    }

    private static let heart = Emoji(given: "❤")!

    private static func amended(_ message: Message, _ amendment: Amendment) -> Write.Change {
        .amend(
            message.applying(amendment, revision: message.revision)!, amendment, at: nil)
    }

    var text: String {
        "\(self.revision):\(Self.text(of: self.change))\(self.isAcknowledged ? "" : "?")"
    }

    private static func text(of change: Write.Change) -> String {
        switch change {
        case .create(let record): record.createdAt.milliseconds == 1000 ? "create" : "create'"
        case .message(let message): self.text(of: message)
        case .amend(let message, let amendment, _):
            switch amendment {
            case .edited: self.text(of: message) + "*"
            case .deleted: self.text(of: message) + "-"
            case .reacted: self.text(of: message) + "+"
            case .pinned: self.text(of: message) + "^"
            }
        case .member: "join"
        case .remove: "leave"
        case .cursors: "cursors"
        case .update(let record): "update \(record.title)"
        case .end: "end"
        case .skip: "skip"
        }
    }

    private static func text(of message: Message) -> String {
        if message.body.clientMessageID == nil { return "lost\(message.sequence)" }
        let isFirst = message.sentAt.milliseconds == 2000 + Int64(message.sequence)
        let send = message.body.clientMessageID?.text.string ?? ""
        return "\(send)\(message.sequence)\(isFirst ? "" : "'")"
    }
}
