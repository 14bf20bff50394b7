internal import Bytes
internal import ChatCore
internal import ChatModel
internal import Cluster

extension ByteBuffer {
    /// The incarnations are the parcel's.
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
    mutating func envelope(from: UInt64, to: UInt64) throws(Misreading) -> Envelope {
        let outer = try self.enter()
        let sender = OwnerID(incarnation: from, loop: try self.loop())
        let receiver = OwnerID(incarnation: to, loop: try self.loop())
        let number = try self.number()
        let view = try self.count()
        var items: [Envelope.Item] = []
        let count = try self.listCount()
        items.reserveCapacity(min(count, Self.roomLimit))
        for _ in 0..<count {
            if let item = try self.item(Envelope.Item.self) { items.append(item) }
        }
        self.leave(to: outer)
        // An envelope without items repeats a number, and this one has its own. Nobody waits for request 0: the item does nothing.
        if items.isEmpty, count > 0 { items.append(.moved(0)) }
        return Envelope(from: sender, to: receiver, number: number, view: view, items: items)
    }
}

extension Envelope.Item: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .input(let input):
            output.append(1)
            input.write(to: &output)
        case .answer(let request, let answer, let place):
            output.append(2)
            output.append(number: request)
            output.append(record: answer)
            output.append(place: place)
        case .moved(let request):
            output.append(3)
            output.append(number: request)
        case .event(let news):
            output.append(4)
            news.write(to: &output)
        case .attachAgain(let key):
            output.append(5)
            output.append(record: key)
        case .resynchronize:
            output.append(6)
        case .wanted(let key):
            output.append(7)
            output.append(record: key)
        }
    }

    static func read(from input: inout WireReader) throws(Misreading) -> Self {
        switch try input.byte() {
        case 1: return .input(try .read(from: &input))
        case 2:
            let request = try input.number()
            let answer = try input.record(ChatAnswer.self)
            return .answer(request, answer, place: try input.place())
        case 3: return .moved(try input.number())
        case 4: return .event(try .read(from: &input))
        case 5: return .attachAgain(try input.conversation())
        case 6: return .resynchronize
        case 7: return .wanted(try input.conversation())
        default: throw .unknownKind
        }
    }
}

extension Envelope.Input: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.conversation)
        output.append(record: self.input)
        output.append(number: self.request)
        output.append(flag: self.isRepeat)
        output.append(place: self.ownerPlace)
        output.append(place: self.feedPlace)
        output.append(number: self.turn.number)
        output.append(number: self.turn.after)
    }

    static func read(from input: inout WireReader) throws(Misreading) -> Self {
        let conversation = try input.conversation()
        let content = try input.record(ConversationInput.self)
        let request = try input.number()
        let isRepeat = try input.flag()
        let ownerPlace = try input.place()
        let feedPlace = try input.place()
        // An earlier version's sends have no order.
        var turn = Turn.none
        if !input.isAtEnd { turn = Turn(number: try input.number(), after: try input.number()) }
        return Self(
            conversation: conversation, input: content, request: request, isRepeat: isRepeat, ownerPlace: ownerPlace, feedPlace: feedPlace,
            turn: turn)
    }
}

extension Envelope.News: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.conversation)
        output.append(record: self.event)
        output.append(count: self.revision)
        output.append(number: self.answering)
        output.append(place: self.feedPlace)
    }

    static func read(from input: inout WireReader) throws(Misreading) -> Self {
        let conversation = try input.conversation()
        let event = try input.record(ChatEvent.self)
        let revision = try input.count()
        let answering = try input.number()
        return Self(conversation: conversation, event: event, revision: revision, answering: answering, feedPlace: try input.place())
    }
}
