internal import Bytes
internal import ChatCore
internal import ChatModel

extension ConversationInput: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .command(let command):
            output.append(1)
            output.append(record: command)
        case .unsubscribe(let user):
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
        case .offerRetained(let changes):
            output.append(6)
            output.append(list: changes)
        }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        switch try input.byte() {
        case 1: return .command(try input.record())
        case 2: return .unsubscribe(try input.user())
        case 3: return .attach(try .read(from: &input))
        case 4: return .detach
        case 5:
            let user = try input.user()
            return .delivered(user, try input.range())
        case 6: return .offerRetained(try input.list(of: RetainedWrite.self))
        default: throw .unknownKind
        }
    }
}

extension Attachment: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(list: self.present)
        output.append(list: self.joining)
        output.append(list: self.knownOnline)
        output.append(list: self.delivered)
        output.append(signed: self.revision)
        output.append(signed: self.head)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let present = try input.list(of: Person.self)
        let joining = try input.list(of: Person.self)
        let knownOnline = try input.list(of: Person.self)
        let delivered = try input.list(of: DeliveryReport.self)
        return Self(
            present: present, joining: joining, knownOnline: knownOnline, delivered: delivered,
            revision: try input.signed(),
            head: try input.signed())
    }
}

extension DeliveryReport: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(user: self.user)
        output.append(range: self.range)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let user = try input.user()
        return Self(user: user, range: try input.range())
    }
}

extension ByteBuffer {
    /// The first number, and how many follow: a reversed range cannot be expressed.
    fileprivate mutating func append(range: ClosedRange<SequenceNumber>) {
        self.append(count: range.lowerBound)
        self.append(count: range.upperBound - range.lowerBound)
    }
}

extension WireReader {
    fileprivate mutating func range() throws(WireDecodingError) -> ClosedRange<SequenceNumber> {
        let first = try self.count()
        let upperBound = first + (try self.count())
        guard upperBound <= Self.countLimit else { throw .malformed(.number) }
        return first...upperBound
    }
}
