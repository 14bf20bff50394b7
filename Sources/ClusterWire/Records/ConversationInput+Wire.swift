internal import Bytes
internal import ChatCore
internal import ChatModel

extension ConversationInput: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .command(let command):
            output.append(1)
            output.append(record: command)
        case .leave(let user):
            output.append(2)
            output.append(user: user)
        case .attach(let attachment):
            output.append(3)
            attachment.write(to: &output)
        case .detach:
            output.append(4)
        case .delivered(let user, let range):
            output.append(5)
            output.append(user: user)
            output.append(range: range)
        case .held(let changes):
            output.append(6)
            output.append(list: changes)
        }
    }

    static func read(from input: inout WireReader) throws(Misreading) -> Self {
        switch try input.byte() {
        case 1: return .command(try input.record())
        case 2: return .leave(try input.user())
        case 3: return .attach(try .read(from: &input))
        case 4: return .detach
        case 5:
            let user = try input.user()
            return .delivered(user, try input.range())
        case 6: return .held(try input.list(of: HeldChange.self))
        default: throw .unknownKind
        }
    }
}

extension Attachment: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(list: self.present)
        output.append(list: self.entering)
        output.append(list: self.heard)
        output.append(list: self.delivered)
        output.append(signed: self.revision)
        output.append(signed: self.through)
    }

    static func read(from input: inout WireReader) throws(Misreading) -> Self {
        let present = try input.list(of: Person.self)
        let entering = try input.list(of: Person.self)
        let heard = try input.list(of: Person.self)
        let delivered = try input.list(of: DeliveryReport.self)
        return Self(
            present: present, entering: entering, heard: heard, delivered: delivered, revision: try input.signed(),
            through: try input.signed())
    }
}

extension DeliveryReport: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(user: self.user)
        output.append(range: self.range)
    }

    static func read(from input: inout WireReader) throws(Misreading) -> Self {
        let user = try input.user()
        return Self(user: user, range: try input.range())
    }
}

extension ByteBuffer {
    /// Its first number, and how many follow: a range cannot be written upside down.
    fileprivate mutating func append(range: ClosedRange<SequenceNumber>) {
        self.append(count: range.lowerBound)
        self.append(count: range.upperBound - range.lowerBound)
    }
}

extension WireReader {
    fileprivate mutating func range() throws(Misreading) -> ClosedRange<SequenceNumber> {
        let first = try self.count()
        let upperBound = first + (try self.count())
        guard upperBound <= Self.countLimit else { throw .malformed(.number) }
        return first...upperBound
    }
}
