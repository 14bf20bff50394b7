internal import Bytes
internal import ChatModel

extension ChatCommand: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .joinAndSubscribe(let joinRequest):
            output.append(1)
            output.append(record: joinRequest)
        case .post(let body):
            output.append(2)
            output.append(record: body)
        case .edit(let sequence, let content, let principal):
            output.append(3)
            output.append(signed: sequence)
            output.append(string: content)
            output.append(record: principal)
        case .delete(let sequence, let principal):
            output.append(4)
            output.append(signed: sequence)
            output.append(record: principal)
        case .read(let sequences, let user):
            output.append(5)
            output.append(list: sequences)
            output.append(user: user)
        case .typing(let isTyping, let person):
            output.append(6)
            output.append(flag: isTyping)
            output.append(record: person)
        case .join(let joinRequest):
            output.append(7)
            output.append(record: joinRequest)
        case .leave(let user):
            output.append(8)
            output.append(user: user)
        case .end(let principal):
            output.append(9)
            output.append(record: principal)
        case .describe(let principal, let readAccess, let selection):
            output.append(10)
            output.append(record: principal)
            output.append(byte: readAccess)
            output.append(record: selection)
        case .create(let conversation):
            output.append(11)
            output.append(record: conversation)
        case .readThrough(let sequence, let user):
            output.append(12)
            output.append(signed: sequence)
            output.append(user: user)
        case .addMember(let person, let principal):
            output.append(13)
            output.append(record: person)
            output.append(record: principal)
        case .removeMember(let user, let principal):
            output.append(14)
            output.append(user: user)
            output.append(record: principal)
        case .react(let sequence, let emoji, let isOn, let principal):
            output.append(15)
            output.append(signed: sequence)
            output.append(string: emoji.text)
            output.append(flag: isOn)
            output.append(record: principal)
        case .pin(let sequence, let principal):
            output.append(16)
            output.append(signed: sequence)
            output.append(record: principal)
        case .unpin(let sequence, let principal):
            output.append(17)
            output.append(signed: sequence)
            output.append(record: principal)
        case .pins(let principal, let readAccess):
            output.append(18)
            output.append(record: principal)
            output.append(byte: readAccess)
        case .update(let update, let principal):
            output.append(19)
            output.append(record: update)
            output.append(record: principal)
        case .receipts(let user):
            output.append(20)
            output.append(user: user)
        }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        switch try input.byte() {
        case 1: return .joinAndSubscribe(try input.record())
        case 2: return .post(try input.record())
        case 3:
            let sequence = try input.signed()
            let content = try input.string()
            return .edit(sequence, content: content, by: try input.record())
        case 4:
            let sequence = try input.signed()
            return .delete(sequence, by: try input.record())
        case 5:
            let sequences = try input.numbers()
            return .read(sequences, by: try input.user())
        case 6:
            let isTyping = try input.flag()
            return .typing(isTyping, by: try input.person())
        case 7: return .join(try input.record())
        case 8: return .leave(try input.user())
        case 9: return .end(by: try input.record())
        case 10:
            let principal = try input.record(Principal.self)
            let readAccess: ReadAccess = try input.byte()
            return .describe(
                by: principal, readAccess: readAccess, members: try input.record())
        case 11: return .create(try input.record())
        case 12:
            let sequence = try input.signed()
            return .readThrough(sequence, by: try input.user())
        case 13:
            let person = try input.person()
            return .addMember(person, by: try input.record())
        case 14:
            let user = try input.user()
            return .removeMember(user, by: try input.record())
        case 15:
            let sequence = try input.signed()
            let emoji = Emoji(stored: try input.byteString())
            let isOn = try input.flag()
            return .react(sequence, emoji, isOn: isOn, by: try input.record())
        case 16:
            let sequence = try input.signed()
            return .pin(sequence, by: try input.record())
        case 17:
            let sequence = try input.signed()
            return .unpin(sequence, by: try input.record())
        case 18:
            let principal = try input.record(Principal.self)
            return .pins(by: principal, readAccess: try input.byte())
        case 19:
            let update = try input.record(ConversationUpdate.self)
            return .update(update, by: try input.record())
        case 20: return .receipts(by: try input.user())
        default: throw .unknownKind
        }
    }
}

extension ConversationUpdate: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(string: self.origin)
        output.append(string: self.title.map { ByteString($0) })
        output.append(string: self.dialectData)
        output.append(flag: self.joinPolicy != nil)
        if let joinPolicy = self.joinPolicy { output.append(byte: joinPolicy) }
        output.append(flag: self.isListed != nil)
        if let isListed = self.isListed { output.append(flag: isListed) }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        var update = Self(origin: try input.byteString())
        update.title = try input.optionalByteString()?.string
        update.dialectData = try input.optionalByteString()
        if try input.flag() { update.joinPolicy = try input.byte() }
        if try input.flag() { update.isListed = try input.flag() }
        return update
    }
}

extension Principal: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.person)
        output.append(flag: self.isAdmin)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let person = try input.person()
        return Self(person: person, isAdmin: try input.flag())
    }
}

extension JoinRequest: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.principal)
        output.append(flag: self.isListedInToken)
        output.append(record: self.template)
        output.append(flag: self.marksHistoryRead)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let principal = try input.record(Principal.self)
        let isListedInToken = try input.flag()
        let template = try input.record(ConversationTemplate.self)
        return Self(
            principal: principal, isListedInToken: isListedInToken, template: template,
            marksHistoryRead: try input.flag())
    }
}

extension ReadAccess: WireByte {}

extension NewConversation: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.record)
        output.append(record: self.creator)
        output.append(list: self.members)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let record = try input.record(ConversationRecord.self)
        let creator = try input.record(Principal.self)
        return Self(record, creator: creator, members: try input.list())
    }
}
