internal import Bytes
internal import ChatModel

extension Message: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(count: self.sequence)
        output.append(count: self.revision)
        output.append(milliseconds: self.sentAt)
        output.append(byte: self.state)
        output.append(record: self.body)
        output.append(signed: Int(self.acceptedAt))
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let sequence = try input.count()
        let revision = try input.count()
        let sentAt = try input.timestamp()
        let state = try input.byte(Message.State.self)
        let body = try input.record(MessageBody.self)
        return Self(
            sequence: sequence, revision: revision, sentAt: sentAt,
            acceptedAt: Int64(try input.signed()), state: state, body: body)
    }
}

extension Message.State: WireByte {}

extension MessageBody: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.author)
        output.append(string: self.clientMessageID?.text)
        output.append(string: self.content)
        output.append(bytes: self.metadata)
        output.append(record: self.annotations)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> MessageBody {
        let author = try input.person()
        let clientID = try input.optionalByteString().map { ClientMessageID(stored: $0) }
        let content = try input.string()
        let metadata = try input.optionalBytes()
        return MessageBody(
            author: author, clientMessageID: clientID, content: content, metadata: metadata,
            annotations: try input.optionalRecord())
    }
}
