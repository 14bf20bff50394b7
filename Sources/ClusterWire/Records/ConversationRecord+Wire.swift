internal import Bytes
internal import ChatModel

extension ConversationRecord: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(byte: self.access)
        output.append(string: self.title)
        output.append(string: self.creator?.key)
        output.append(moment: self.createdAt)
        output.append(moment: self.updatedAt)
        output.append(flag: self.endedAt != nil)
        if let moment = self.endedAt { output.append(moment: moment) }
        output.append(byte: self.kind)
        output.append(string: self.details)
    }

    static func read(from input: inout WireReader) throws(Misreading) -> Self {
        let access = try input.byte(Access.self)
        let title = try input.string()
        let creator = try input.optionalByteString().map { UserID(key: $0) }
        var record = Self(access: access, title: title, creator: creator, createdAt: try input.moment())
        record.updatedAt = try input.moment()
        if try input.flag() { record.endedAt = try input.moment() }
        if input.isAtEnd { return record }
        record.kind = try input.byte()
        record.details = try input.byteString()
        return record
    }
}

extension ConversationRecord.Access: WireByte {}
extension ConversationRecord.Kind: WireByte {}

extension Member: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(user: self.user)
        output.append(string: self.name)
        output.append(byte: self.role)
        output.append(moment: self.joinedAt)
        output.append(count: self.readCursor)
        output.append(count: self.deliveredCursor)
        output.append(string: self.agent)
    }

    static func read(from input: inout WireReader) throws(Misreading) -> Self {
        let user = try input.user()
        let name = try input.byteString()
        let role = try input.byte(Role.self)
        let joinedAt = try input.moment()
        let readCursor = try input.count()
        let deliveredCursor = try input.count()
        return Self(
            user: user, name: name, agent: input.isAtEnd ? nil : try input.optionalByteString(), role: role, joinedAt: joinedAt,
            readCursor: readCursor, deliveredCursor: deliveredCursor)
    }
}

extension Member.Role: WireByte {}
