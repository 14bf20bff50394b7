import Bytes
import ChatModel

/// The last change of a message, as its conversation's hash of amendments has it:
/// `revision state byte-count content`, then a mark and the metadata if there are any.
///
/// Reactions and the pin are in `StoredMarks`; a change of them makes an amendment too.
struct StoredAmendment {
    let revision: Revision
    let state: Message.State
    let content: String
    let metadata: [UInt8]?

    static func write(_ message: Message, revision: Revision, to output: inout ByteBuffer) {
        output.append(number: revision)
        self.writeState(message, to: &output)
    }

    /// Everything behind the revision.
    static func writeState(_ message: Message, to output: inout ByteBuffer) {
        output.append(number: message.state.rawValue)
        output.append(number: message.body.content.utf8.count)
        output.append(text: message.body.content)
        if let metadata = message.body.metadata { output.append(present: metadata) }
    }

    /// The state and the content, without copying them. Nil if the bytes do not have this format.
    static func content(_ bytes: UnsafeRawBufferPointer) -> (
        state: Message.State, content: UnsafeRawBufferPointer
    )? {
        var rest = FieldReader(bytes)
        guard rest.nextNumber() != nil,
            let state = rest.nextNumber().flatMap({ Message.State(rawValue: UInt8(clamping: $0)) }),
            let size = rest.nextNumber(), let content = rest.nextField(byteCount: size)
        else { return nil }
        return (state, content.remaining)
    }

    /// Nil if the bytes do not have this format.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var rest = FieldReader(bytes)
        guard let revision = rest.nextNumber(),
            let state = rest.nextNumber().flatMap({ Message.State(rawValue: UInt8(clamping: $0)) }),
            let size = rest.nextNumber(), let content = rest.nextField(byteCount: size)?.text
        else { return nil }
        self.revision = Int(revision)
        self.state = state
        self.content = content
        self.metadata = rest.optionalBytes
    }

    /// The reply and the mentions stay those of the message as it was sent; a deleted message has
    /// no mentions.
    func applied(to message: Message) -> Message {
        var annotations = message.body.annotations
        if self.state == .deleted {
            annotations = MessageAnnotations(reply: annotations?.reply, mentions: nil)
        }
        let body = MessageBody(
            author: message.body.author, clientMessageID: message.body.clientMessageID,
            content: self.content, metadata: self.metadata, annotations: annotations)
        return Message(
            sequence: message.sequence, revision: self.revision, sentAt: message.sentAt,
            state: self.state, body: body)
    }
}
