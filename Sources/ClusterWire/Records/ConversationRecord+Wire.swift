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
        output.append(byte: LegacyKind(of: self.origin))
        output.append(string: self.dialectData)
        output.append(string: self.origin)
        output.append(flag: self.isListed)
        // The usual policy is left out, so that its records keep their bytes.
        if self.pinPolicy != .members { output.append(byte: self.pinPolicy) }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let access = try input.byte(JoinPolicy.self)
        let title = try input.string()
        let creator = try input.optionalByteString().map { UserID(storageKey: $0) }
        var record = Self(
            LegacyKind.conversations.template, title: title, creator: creator,
            createdAt: try input.timestamp())
        record.joinPolicy = access
        record.updatedAt = try input.timestamp()
        if try input.flag() { record.endedAt = try input.timestamp() }
        if input.isAtEnd { return record }
        let kind = try input.byte(LegacyKind.self)
        record.dialectData = try input.byteString()
        let hasOrigin = !input.isAtEnd
        record.origin = hasOrigin ? try input.byteString() : kind.template.origin
        record.isListed = hasOrigin ? try input.flag() : kind.template.isListed
        if !input.isAtEnd { record.pinPolicy = try input.byte() }
        return record
    }
}

extension ConversationRecord.JoinPolicy: WireByte {}
extension ConversationRecord.PinPolicy: WireByte {}
extension LegacyKind: WireByte {}

/// The fields are at the end of the records that contain a template. Earlier versions read the
/// number instead, which is an earlier field.
extension ConversationTemplate {
    func writeFields(to output: inout ByteBuffer) {
        output.append(string: self.origin)
        output.append(byte: self.joinPolicy)
        output.append(flag: self.isListed)
    }

    /// - Parameter kind: the number in the same record, for a record of an earlier version.
    static func readFields(
        from input: inout WireReader, orOf kind: LegacyKind
    ) throws(WireDecodingError) -> Self {
        if input.isAtEnd { return kind.template }
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
        if self.isNameGiven { output.append(flag: true) }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let user = try input.user()
        let name = try input.byteString()
        let role = try input.byte(Role.self)
        let joinedAt = try input.timestamp()
        let readCursor = try input.count()
        let deliveredCursor = try input.count()
        var member = Self(
            user: user, name: name, agent: input.isAtEnd ? nil : try input.optionalByteString(),
            role: role, joinedAt: joinedAt,
            readCursor: readCursor, deliveredCursor: deliveredCursor)
        member.isNameGiven = input.isAtEnd ? false : try input.flag()
        return member
    }
}

extension Member.Role: WireByte {}
