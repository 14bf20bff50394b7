import Bytes
import ChatModel

/// The format of a message in its conversation's stream, under the id `<sequence>-0`. It is one
/// field, because each name and value of an entry costs Redis work in the script, the stream and
/// the append-only file.
///
/// The field begins with `revision time state` and the byte counts of author, name, client id,
/// agent and metadata, each followed by a blank. These five texts follow, and the rest is the
/// content. Agent and metadata begin with a mark if present.
///
/// A reply, and a message with mentions, have a second field (`StoredReferences`).
enum StoredMessage {
    static let field: StaticString = "m"

    static func write(_ message: Message, revision: Revision, to output: inout ByteBuffer) {
        let body = message.body
        let (author, name, clientID) = (
            body.author.id.storageKey, body.author.name, body.clientMessageID?.text ?? ""
        )
        output.append(number: revision)
        output.append(number: message.sentAt.milliseconds)
        output.append(number: message.state.rawValue)
        output.append(number: author.byteCount)
        output.append(number: name.byteCount)
        output.append(number: clientID.byteCount)
        output.append(number: body.author.agent.map { 1 + $0.byteCount } ?? 0)
        output.append(number: body.metadata.map { 1 + $0.count } ?? 0)
        output.append(text: author.string)
        output.append(text: name.string)
        output.append(text: clientID.string)
        if let agent = body.author.agent { output.append(present: agent) }
        if let metadata = body.metadata { output.append(present: metadata) }
        output.append(text: body.content)
    }

    /// The state and the content, without copying them. Nil if the bytes do not have this format.
    static func content(_ bytes: UnsafeRawBufferPointer) -> (
        state: Message.State, content: UnsafeRawBufferPointer
    )? {
        var rest = FieldReader(bytes)
        guard rest.nextNumber() != nil, rest.nextNumber() != nil,
            let state = rest.nextNumber().flatMap({ Message.State(rawValue: UInt8(clamping: $0)) }),
            let authorSize = rest.nextCount(), let nameSize = rest.nextCount(),
            let clientSize = rest.nextCount(), let agentSize = rest.nextCount(),
            let metadataSize = rest.nextCount(),
            // No sum of counts that fit into the value overflows.
            max(authorSize, nameSize, clientSize, agentSize, metadataSize) <= rest.remaining.count,
            rest.nextField(
                byteCount: Int64(authorSize + nameSize + clientSize + agentSize + metadataSize))
                != nil
        else { return nil }
        return (state, rest.remaining)
    }

    /// Nil if the bytes do not have this format.
    static func read(_ bytes: UnsafeRawBufferPointer, as sequence: SequenceNumber) -> Message? {
        var rest = FieldReader(bytes)
        guard let revision = rest.nextNumber(), let time = rest.nextNumber(),
            let state = rest.nextNumber().flatMap({ Message.State(rawValue: UInt8(clamping: $0)) }),
            let authorSize = rest.nextNumber(), let nameSize = rest.nextNumber(),
            let clientSize = rest.nextNumber(), let agentSize = rest.nextNumber(),
            let metadataSize = rest.nextNumber(),
            let author = rest.nextField(byteCount: authorSize),
            let name = rest.nextField(byteCount: nameSize),
            let client = rest.nextField(byteCount: clientSize),
            let agent = rest.nextField(byteCount: agentSize),
            let metadata = rest.nextField(byteCount: metadataSize)
        else { return nil }
        let person = Person(
            id: UserID(storageKey: ByteString(author.text)), name: ByteString(name.text),
            agent: agent.optionalBytes.map { ByteString(String(decoding: $0, as: UTF8.self)) })
        let body = MessageBody(
            author: person,
            clientMessageID: clientSize == 0
                ? nil : ClientMessageID(stored: ByteString(client.text)), content: rest.text,
            metadata: metadata.optionalBytes)
        return Message(
            sequence: sequence, revision: Int(revision), sentAt: Timestamp(milliseconds: time),
            state: state, body: body)
    }
}
