internal import Bytes
internal import ChatModel

extension ConversationRecord: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(byte: self.joinPolicy)
        output.append(string: self.title)
        output.append(string: self.creator?.storageKey)
        output.append(milliseconds: self.createdAt)
        output.append(milliseconds: self.updatedAt)
        output.append(flag: self.endedAt != nil)
        if let time = self.endedAt { output.append(milliseconds: time) }
        output.append(byte: self.kind)
        output.append(string: self.dialectData)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let access = try input.byte(JoinPolicy.self)
        let title = try input.string()
        let creator = try input.optionalByteString().map { UserID(storageKey: $0) }
        var record = Self(
            joinPolicy: access, title: title, creator: creator, createdAt: try input.timestamp())
        record.updatedAt = try input.timestamp()
        if try input.flag() { record.endedAt = try input.timestamp() }
        if input.isAtEnd { return record }
        record.kind = try input.byte()
        record.dialectData = try input.byteString()
        return record
    }
}

extension ConversationRecord.JoinPolicy: WireByte {}
extension ConversationRecord.Kind: WireByte {}

extension Member: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(user: self.user)
        output.append(string: self.name)
        output.append(byte: self.role)
        output.append(milliseconds: self.joinedAt)
        output.append(count: self.readCursor)
        output.append(count: self.deliveredCursor)
        output.append(string: self.agent)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let user = try input.user()
        let name = try input.byteString()
        let role = try input.byte(Role.self)
        let joinedAt = try input.timestamp()
        let readCursor = try input.count()
        let deliveredCursor = try input.count()
        return Self(
            user: user, name: name, agent: input.isAtEnd ? nil : try input.optionalByteString(),
            role: role, joinedAt: joinedAt,
            readCursor: readCursor, deliveredCursor: deliveredCursor)
    }
}

extension Member.Role: WireByte {}
