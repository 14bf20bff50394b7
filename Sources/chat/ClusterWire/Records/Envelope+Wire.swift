internal import Bytes
internal import ChatCore
internal import ChatEngine
internal import ChatModel

extension ByteBuffer {
    /// Incarnations are not written, because the packet has them.
    mutating func append(envelope: borrowing Envelope) {
        let start = self.openRecord()
        self.append(number: UInt64(envelope.from.loop))
        self.append(number: UInt64(envelope.to.loop))
        self.append(number: envelope.number)
        self.append(count: envelope.view)
        self.append(list: envelope.items)
        self.closeRecord(from: start)
    }
}

extension WireReader {
    mutating func envelope(from: UInt64, to: UInt64) throws(WireDecodingError) -> Envelope {
        let outer = try self.enterRecord()
        let sender = LoopID(incarnation: from, loop: try self.loop())
        let receiver = LoopID(incarnation: to, loop: try self.loop())
        let number = try self.number()
        let view = try self.count()
        var items: [Envelope.Item] = []
        let count = try self.listCount()
        items.reserveCapacity(min(count, Self.reserveLimit))
        for _ in 0..<count {
            if let item = try self.item(Envelope.Item.self) { items.append(item) }
        }
        self.leaveRecord(to: outer)
        // An envelope without items would be read as a tick. An item for request 0 has no effect.
        if items.isEmpty, count > 0 { items.append(.notOwner(0)) }
        return Envelope(from: sender, to: receiver, number: number, view: view, items: items)
    }
}

extension Envelope.Item: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .input(let input):
            output.append(1)
            input.write(to: &output)
        case .answer(let request, let answer, let slot):
            output.append(2)
            output.append(number: request.rawValue)
            output.append(record: answer)
            output.append(slot: slot)
        case .notOwner(let request):
            output.append(3)
            output.append(number: request.rawValue)
        case .event(let notification):
            output.append(4)
            notification.write(to: &output)
        case .reattach(let key):
            output.append(5)
            output.append(record: key)
        case .resynchronize:
            output.append(6)
        case .recoveryQuery(let key):
            output.append(7)
            output.append(record: key)
        }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        switch try input.byte() {
        case 1: return .input(try .read(from: &input))
        case 2:
            let request = RequestID(rawValue: try input.number())
            let answer = try input.record(ChatAnswer.self)
            return .answer(request, answer, slot: try input.slot())
        case 3: return .notOwner(RequestID(rawValue: try input.number()))
        case 4: return .event(try .read(from: &input))
        case 5: return .reattach(try input.conversation())
        case 6: return .resynchronize
        case 7: return .recoveryQuery(try input.conversation())
        default: throw .unknownKind
        }
    }
}

extension Envelope.Input: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.conversation)
        output.append(record: self.input)
        output.append(number: self.request.rawValue)
        output.append(flag: self.isRetry)
        output.append(slot: self.ownerSlot)
        output.append(slot: self.feedSlot)
        output.append(number: self.sendOrder.number)
        output.append(number: self.sendOrder.after)
        output.append(signed: Int(self.acceptedAt))
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let conversation = try input.conversation()
        let content = try input.record(ConversationInput.self)
        let request = RequestID(rawValue: try input.number())
        let isRepeat = try input.flag()
        let ownerPlace = try input.slot()
        let feedPlace = try input.slot()
        let sendOrder = SendOrder(number: try input.number(), after: try input.number())
        return Self(
            conversation: conversation, input: content, request: request, isRetry: isRepeat,
            ownerSlot: ownerPlace, feedSlot: feedPlace, sendOrder: sendOrder,
            acceptedAt: Int64(try input.signed()))
    }
}

extension Envelope.EventNotification: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.conversation)
        output.append(record: self.event)
        output.append(count: self.revision)
        output.append(number: self.answering.rawValue)
        output.append(slot: self.feedSlot)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let conversation = try input.conversation()
        let event = try input.record(ChatEvent.self)
        let revision = try input.count()
        let answering = RequestID(rawValue: try input.number())
        return Self(
            conversation: conversation, event: event, revision: revision, answering: answering,
            feedSlot: try input.slot())
    }
}
