internal import Bytes
internal import ChatModel

extension ChatEvent: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .created:
            output.append(1)
        case .posted(let message):
            output.append(2)
            output.append(record: message)
        case .edited(let message):
            output.append(3)
            output.append(record: message)
        case .deleted(let message):
            output.append(4)
            output.append(record: message)
        case .reacted(let message):
            output.append(14)
            output.append(record: message)
        case .pinned(let message):
            output.append(15)
            output.append(record: message)
        case .unpinned(let message):
            output.append(16)
            output.append(record: message)
        case .joined(let member):
            output.append(5)
            output.append(record: member)
        case .renamed(let member):
            output.append(6)
            output.append(record: member)
        case .left(let member, let time):
            output.append(7)
            output.append(record: member)
            output.append(milliseconds: time)
        case .ended(let user, let time):
            output.append(8)
            output.append(user: user)
            output.append(milliseconds: time)
        case .typing(let person, let isTyping):
            output.append(9)
            output.append(record: person)
            output.append(flag: isTyping)
        case .read(let person, let sequences, let cursor):
            output.append(10)
            output.append(record: person)
            output.append(list: sequences)
            output.append(count: cursor)
        case .status(let author, let status, let sequences, let time):
            output.append(11)
            output.append(user: author)
            output.append(byte: status)
            output.append(list: sequences)
            output.append(milliseconds: time)
        case .presence(let changes):
            output.append(12)
            output.append(list: changes)
        case .updated(let record, let person, let revision):
            output.append(17)
            output.append(record: record)
            output.append(record: person)
            output.append(count: revision)
        case .crowd(let online, let changes):
            output.append(13)
            output.append(count: online)
            output.append(list: changes)
        }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        switch try input.byte() {
        case 1: return .created
        case 2: return .posted(try input.record())
        case 3: return .edited(try input.record())
        case 4: return .deleted(try input.record())
        case 5: return .joined(try input.record())
        case 6: return .renamed(try input.record())
        case 7:
            let member = try input.record(Member.self)
            return .left(member, at: try input.timestamp())
        case 8:
            let user = try input.user()
            return .ended(by: user, at: try input.timestamp())
        case 9:
            let person = try input.person()
            return .typing(person, try input.flag())
        case 10:
            let person = try input.person()
            let sequences = try input.numbers()
            return .read(person, sequences, through: try input.count())
        case 11:
            let author = try input.user()
            let status = try input.byte(MessageStatus.self)
            let sequences = try input.numbers()
            return .status(author: author, status, sequences, at: try input.timestamp())
        case 12: return .presence(try input.list())
        case 13:
            let online = try input.count()
            return .crowd(online: online, try input.list())
        case 14: return .reacted(try input.record())
        case 15: return .pinned(try input.record())
        case 16: return .unpinned(try input.record())
        case 17:
            let record = try input.record(ConversationRecord.self)
            let person = try input.person()
            return .updated(record, by: person, rev: try input.count())
        default: throw .unknownKind
        }
    }
}

extension MessageStatus: WireByte {}

extension PresenceChange: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.person)
        output.append(flag: self.isOnline)
        output.append(milliseconds: self.at)
        output.append(flag: self.isMember)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let person = try input.person()
        let isOnline = try input.flag()
        let time = try input.timestamp()
        return Self(person: person, isOnline: isOnline, at: time, isMember: try input.flag())
    }
}
