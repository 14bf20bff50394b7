import Bytes
public import ChatModel
public import DialectKit
import JSON

/// Reactions, pins and search (PROTOCOLS, "Message features").
extension ConversationsSession {
    /// - Parameter action: one of these features.
    func executeFeature(
        _ action: ByteString, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) throws(FieldError) {
        let root = document.root
        switch action {
        case "pins":
            self.submit(
                .pins(by: self.me), .pins, number: try document.pinCursor(of: root, in: text),
                into: &steps)
        case "search": try self.search(document, text, into: &steps)
        default:
            let sequence = try document.requiredMessageID("message_id", of: root, in: text)
            switch action {
            case "pin":
                self.submit(.pin(sequence, by: self.me), .pin, number: sequence, into: &steps)
            case "unpin":
                self.submit(.unpin(sequence, by: self.me), .unpin, number: sequence, into: &steps)
            default:
                let emoji = try document.requiredEmoji("emoji", of: root, in: text)
                let isOn = try document.requiredBool("on", of: root, in: text)
                self.submit(
                    .react(sequence, emoji, isOn: isOn, by: self.me), .react, number: sequence,
                    into: &steps)
            }
        }
    }

    private func search(
        _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let request = try document.searchRequest(
            in: self.conversation, of: document.root, in: text)
        steps.append(
            .fetch(request, RequestTag(kind: ConversationsRequestKind.search.rawValue)))
    }

    public mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        switch answer {
        case .found(let page)?:
            let bytes = steps.limits.pagedMessageBytes
            steps.reply { $0.append(found: page, for: self.person.id, within: bytes) }
        case .searchRefused(let refusal)?:
            steps.reply { $0.append(error: refusal.description, action: "search") }
        case .cannotSearch?:
            steps.reply {
                $0.append(error: "this service has no search", action: "search")
            }
        default:
            steps.reply {
                $0.append(
                    error: "the history cannot be searched at the moment; try again",
                    action: "search")
            }
        }
    }
}

extension ConversationsSession.ConversationsRequestKind {
    /// The name of the requested action in the protocol.
    var action: ByteString? {
        switch self {
        case .enter: "connect"
        case .send: "send_message"
        case .edit: "edit_message"
        case .delete: "delete_message"
        case .read: "read"
        case .typing: "typing"
        case .fetch, .fetchAfter: "fetch_messages"
        case .react: "react"
        case .pin: "pin"
        case .unpin: "unpin"
        case .pins: "pins"
        case .search: "search"
        case .receipts: "receipts"
        }
    }
}
