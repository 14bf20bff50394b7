import Bytes
import ChatModel

/// The last change of a message, as its conversation's hash of amendments has it:
/// `revision state` and the byte counts of content and metadata, each followed by a blank, then
/// content, metadata, and the reactions and the pin if there are any (`StoredMarks`). The metadata
/// begins with a mark if present.
struct StoredAmendment {
    let revision: Revision
    let state: Message.State
    let content: String
    let metadata: [UInt8]?
    /// Only reactions and the pin.
    let marks: MessageAnnotations?

    static func write(_ message: Message, revision: Revision, to output: inout ByteBuffer) {
        output.append(number: revision)
        self.writeState(message, to: &output)
    }

    /// Everything behind the revision.
    static func writeState(_ message: Message, to output: inout ByteBuffer) {
        output.append(number: message.state.rawValue)
        output.append(number: message.body.content.utf8.count)
        output.append(number: message.body.metadata.map { 1 + $0.count } ?? 0)
        output.append(text: message.body.content)
        if let metadata = message.body.metadata { output.append(present: metadata) }
        if let annotations = message.body.annotations, StoredMarks.exist(in: annotations) {
            StoredMarks.write(annotations, to: &output)
        }
    }

    /// The state and the content, without copying them. Nil if the bytes do not have this format.
    static func content(_ bytes: UnsafeRawBufferPointer) -> (
        state: Message.State, content: UnsafeRawBufferPointer
    )? {
        var rest = FieldReader(bytes)
        return self.readStart(of: &rest).map { ($0.state, $0.content.remaining) }
    }

    /// Everything before the metadata.
    private static func readStart(of rest: inout FieldReader) -> (
        revision: Revision, state: Message.State, metadataSize: Int64, content: FieldReader
    )? {
        guard let revision = rest.nextNumber(),
            let state = rest.nextNumber().flatMap({ Message.State(rawValue: UInt8(clamping: $0)) }),
            let size = rest.nextNumber(), let metadataSize = rest.nextNumber(),
            let content = rest.nextField(byteCount: size)
        else { return nil }
        return (Int(revision), state, metadataSize, content)
    }

    /// Nil if the bytes do not have this format.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var rest = FieldReader(bytes)
        guard let start = Self.readStart(of: &rest),
            let metadata = rest.nextField(byteCount: start.metadataSize)
        else { return nil }
        self.marks = rest.isEmpty ? nil : StoredMarks.read(rest.remaining)
        if !rest.isEmpty, self.marks == nil { return nil }
        self.revision = start.revision
        self.state = start.state
        self.content = start.content.text
        self.metadata = metadata.optionalBytes
    }

    /// The reply and the mentions stay those of the message as it was sent; a deleted message has
    /// only the reply.
    func applied(to message: Message) -> Message {
        let sent = message.body.annotations
        let annotations =
            self.state == .deleted
            ? MessageAnnotations(reply: sent?.reply, mentions: nil)
            : MessageAnnotations(
                reply: sent?.reply, mentions: sent?.mentions, reactions: self.marks?.reactions,
                pin: self.marks?.pin)
        let body = MessageBody(
            author: message.body.author, clientMessageID: message.body.clientMessageID,
            content: self.content, metadata: self.metadata, annotations: annotations)
        return Message(
            sequence: message.sequence, revision: self.revision, sentAt: message.sentAt,
            state: self.state, body: body)
    }
}
