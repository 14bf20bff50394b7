internal import Bytes
internal import ChatModel

extension ConversationRecord: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(string: self.origin)
        output.append(byte: self.joinPolicy)
        output.append(flag: self.isListed)
        output.append(byte: self.pinPolicy)
        output.append(string: self.title)
        output.append(string: self.dialectData)
        output.append(string: self.creator?.storageKey)
        output.append(milliseconds: self.createdAt)
        output.append(milliseconds: self.updatedAt)
        output.append(milliseconds: self.endedAt)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let template = try ConversationTemplate.read(from: &input)
        let pinPolicy = try input.byte(PinPolicy.self)
        let title = try input.string()
        let dialectData = try input.byteString()
        let creator = try input.optionalByteString().map { UserID(storageKey: $0) }
        var record = Self(
            template, title: title, dialectData: dialectData, pinPolicy: pinPolicy,
            creator: creator, createdAt: try input.timestamp())
        record.updatedAt = try input.timestamp()
        record.endedAt = try input.optionalTimestamp()
        return record
    }
}

extension ConversationRecord.JoinPolicy: WireByte {}
extension ConversationRecord.PinPolicy: WireByte {}

extension ConversationTemplate: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(string: self.origin)
        output.append(byte: self.joinPolicy)
        output.append(flag: self.isListed)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let origin = try input.byteString()
        let joinPolicy = try input.byte(ConversationRecord.JoinPolicy.self)
        return Self(origin: origin, joinPolicy: joinPolicy, isListed: try input.flag())
    }
}

extension Member: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(user: self.user)
        output.append(string: self.name)
        output.append(byte: self.role)
        output.append(milliseconds: self.joinedAt)
        output.append(count: self.readCursor)
        output.append(count: self.deliveredCursor)
        output.append(string: self.agent)
        output.append(flag: self.isNameGiven)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let user = try input.user()
        let name = try input.byteString()
        let role = try input.byte(Role.self)
        let joinedAt = try input.timestamp()
        let readCursor = try input.count()
        let deliveredCursor = try input.count()
        var member = Self(
            user: user, name: name, agent: try input.optionalByteString(), role: role,
            joinedAt: joinedAt, readCursor: readCursor, deliveredCursor: deliveredCursor)
        member.isNameGiven = try input.flag()
        return member
    }
}

extension Member.Role: WireByte {}
