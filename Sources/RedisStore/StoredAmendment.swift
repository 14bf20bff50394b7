import ChatModel

/// The last edit or deletion of a message, as its conversation's hash of amendments has it:
/// `revision state byte-count content`, then a mark and the metadata if there are any.
struct StoredAmendment {
    let revision: Revision
    let state: Message.State
    let content: String
    let metadata: [UInt8]?

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

    func applied(to message: Message) -> Message {
        let body = MessageBody(
            author: message.body.author, clientMessageID: message.body.clientMessageID,
            content: self.content, metadata: self.metadata)
        return Message(
            sequence: message.sequence, revision: self.revision, sentAt: message.sentAt,
            state: self.state, body: body)
    }
}
