internal import Bytes
internal import ChatModel

extension ChatAnswer: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .joined(let joinResult):
            output.append(1)
            output.append(record: joinResult)
        case .posted(let message, let isRepeat):
            output.append(2)
            output.append(record: message)
            output.append(flag: isRepeat)
        case .amended(let message):
            output.append(3)
            output.append(record: message)
        case .read(let unknown):
            output.append(4)
            output.append(list: unknown)
        case .done:
            output.append(5)
        case .described(let details):
            output.append(6)
            output.append(record: details)
        case .failed(let error):
            output.append(7)
            output.append(record: error)
        case .pins(let messages):
            output.append(8)
            output.append(list: messages)
        case .receipts(let receipts):
            output.append(9)
            output.append(record: receipts)
        }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        switch try input.byte() {
        case 1: return .joined(try input.record())
        case 2:
            let message = try input.record(Message.self)
            return .posted(message, isRepeat: try input.flag())
        case 3: return .amended(try input.record())
        case 4: return .read(unknown: try input.numbers())
        case 5: return .done
        case 6: return .described(try input.record())
        case 7: return .failed(try input.record())
        case 8: return .pins(try input.list())
        case 9: return .receipts(try input.record())
        default: throw .unknownKind
        }
    }
}

extension ReceiptList: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.own)
        output.append(list: self.highest)
        output.append(count: self.total)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let own = try input.record(Receipt.self)
        let highest = try input.list(of: Receipt.self)
        return Self(own: own, highest: highest, total: try input.count())
    }
}

extension ReceiptList.Receipt: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(user: self.user)
        output.append(string: self.name)
        output.append(count: self.read)
        output.append(count: self.delivered)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let user = try input.user()
        let name = try input.byteString()
        let read = try input.count()
        return Self(user: user, name: name, read: read, delivered: try input.count())
    }
}

extension JoinResult: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(count: self.head)
        output.append(count: self.oldest)
        output.append(count: self.revision)
        output.append(record: self.ended)
        output.append(list: self.present)
        output.append(count: self.presentCount)
        output.append(flag: self.isCrowd)
        output.append(record: self.member)
        output.append(flag: self.isNewMember)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let head = try input.count()
        let oldest = try input.count()
        let revision = try input.count()
        let ended = try input.optionalRecord(ConversationEnd.self)
        let present = try input.list(of: PresenceChange.self)
        let presentCount = try input.count()
        var joinResult = Self(
            head: head, oldest: oldest, revision: revision, ended: ended, present: present,
            presentCount: presentCount,
            isCrowd: try input.flag())
        joinResult.member = try input.optionalRecord()
        joinResult.isNewMember = try input.flag()
        return joinResult
    }
}

extension ConversationEnd: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(user: self.by)
        output.append(milliseconds: self.at)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let user = try input.user()
        return Self(by: user, at: try input.timestamp())
    }
}

extension ConversationDetails: WireValue {
    // Online members are written as indices, because the member list contains their ids.
    func write(to output: inout ByteBuffer) {
        output.append(record: self.record)
        output.append(count: self.head)
        output.append(list: self.members)
        let indices = self.members.indices.filter { self.online.contains(self.members[$0].user) }
        output.append(count: indices.count)
        for index in indices { output.append(count: index) }
        let knownUsers = Set(indices.lazy.map { self.members[$0].user })
        let others =
            knownUsers.count == self.online.count
            ? [] : self.online.subtracting(knownUsers).sorted()
        output.append(count: others.count)
        for user in others { output.append(user: user) }
        output.append(record: self.lastMessage)
        output.append(count: self.participantCount)
        output.append(record: self.viewer)
        output.append(list: self.readers)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let record = try input.record(ConversationRecord.self)
        let head = try input.count()
        let members = try input.list(of: Member.self)
        var online: Set<UserID> = []
        for _ in 0..<(try input.listCount()) {
            let index = try input.count()
            guard index < members.count else { throw .malformed(.number) }
            online.insert(members[index].user)
        }
        for _ in 0..<(try input.listCount()) { online.insert(try input.user()) }
        let lastMessage: Message? = try input.optionalRecord()
        let participantCount = try input.count()
        let viewer: Member? = try input.optionalRecord()
        return Self(
            record: record, head: head, members: members, online: online,
            participantCount: participantCount, viewer: viewer,
            readers: try input.list(of: Member.self),
            lastMessage: lastMessage)
    }
}

extension MemberSelection: WireValue {
    func write(to output: inout ByteBuffer) {
        switch self {
        case .shown(let limit):
            output.append(0)
            output.append(count: limit)
        case .shownWithReaders(let limit):
            output.append(1)
            output.append(count: limit)
        case .page(let user, let limit):
            output.append(user == nil ? 2 : 3)
            output.append(count: limit)
            if let user { output.append(user: user) }
        }
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let kind = try input.byte()
        let limit = try input.count()
        switch kind {
        case 0: return .shown(limit: limit)
        case 1: return .shownWithReaders(limit: limit)
        case 2: return .page(after: nil, limit: limit)
        case 3: return .page(after: try input.user(), limit: limit)
        default: throw .unknownKind
        }
    }
}
