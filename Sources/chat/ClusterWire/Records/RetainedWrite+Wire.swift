internal import Bytes
internal import ChatCore
internal import ChatModel

/// `storedAt` is a reading of the sender's clock, so it is not sent.
extension RetainedWrite: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(count: self.revision)
        output.append(record: self.change)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let revision = try input.count()
        return Self(revision: revision, change: try input.record(), storedAt: 0)
    }
}

extension Write.Change: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .create(let record):
            output.append(1)
            output.append(record: record)
        case .message(let message):
            output.append(2)
            output.append(record: message)
        case .amend(let message, let amendment, let time):
            output.append(3)
            output.append(record: message)
            amendment.writeFields(to: &output)
            output.append(milliseconds: time)
        case .member(let member):
            output.append(4)
            output.append(record: member)
        case .remove(let user):
            output.append(5)
            output.append(user: user)
        case .cursors(let user, let read, let delivered):
            output.append(6)
            output.append(user: user)
            output.append(count: read)
            output.append(count: delivered)
        case .end(let time):
            output.append(7)
            output.append(milliseconds: time)
        case .skip:
            output.append(8)
        case .update(let record):
            output.append(9)
            output.append(record: record)
        }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        switch try input.byte() {
        case 1: return .create(try input.record())
        case 2: return .message(try input.record())
        case 3:
            let message = try input.record(Message.self)
            let amendment = try Amendment.readFields(from: &input, of: message)
            return .amend(message, amendment, at: try input.optionalTimestamp())
        case 4: return .member(try input.record())
        case 5: return .remove(try input.user())
        case 6:
            let user = try input.user()
            let read = try input.count()
            return .cursors(user, read: read, delivered: try input.count())
        case 7: return .end(at: try input.timestamp())
        case 8: return .skip
        case 9: return .update(try input.record())
        default: throw .unknownKind
        }
    }
}
