/// Judges what the members of conversations were told: takes everything that happened, in any conversation, and says what is wrong.
///
/// It knows only what clients can know, and the promises: what was answered is stored, numbers are 1, 2, 3 … and mean the same message
/// for everybody, nobody misses or hears one twice, and a send that is repeated is answered with the first message.
public struct HistoryChecker: Sendable {
    /// A message as somebody was told it.
    public struct Message: Sendable, Equatable {
        public var number: Int
        public var sender: String
        /// The client's own id; pages of history do not have it.
        public var localID: String?
        public var content: String
        public var time: String

        public init(_ number: Int, by sender: String, as localID: String?, _ content: String, at time: String) {
            self.number = number
            self.sender = sender
            self.localID = localID
            self.content = content
            self.time = time
        }
    }

    /// What somebody said, before anybody answered.
    private struct Send: Hashable {
        let conversation: String
        let sender: String
        let localID: String
    }

    private struct Reader {
        let conversation: String
        /// Over which connection, and from where on.
        let connection: String
        /// The last message that it was shown.
        var through: Int
        /// Sends that it has repeated on this connection: the answer comes out of turn.
        var repeated: [String: Int] = [:]
    }

    /// The promise is for the newest 1,000 messages.
    private static let rememberedMessages = 1000
    /// What follows from one fault would fill pages.
    private static let violationLimit = 100

    private var contents: [Send: String] = [:]
    private var numbers: [Send: Int] = [:]
    private var answered: Set<Send> = []
    private var messages: [String: [Int: Message]] = [:]
    private var heads: [String: Int] = [:]
    private var kept: [String: [String: Int]] = [:]
    private var readers: [String: Reader] = [:]

    public private(set) var violations: [String] = []
    public private(set) var violationCount = 0

    public init() {}

    /// The highest number that anybody has heard of.
    public func head(of conversation: String) -> Int { self.heads[conversation, default: 0] }

    public var conversations: [String] { self.heads.keys.sorted() }

    /// The last message that a reader was shown.
    public func position(of reader: String) -> Int { self.readers[reader]?.through ?? 0 }

    public var messageCount: Int { self.heads.values.reduce(0, +) }

    /// Something that is wrong and that somebody else has seen.
    public mutating func object(_ words: String) {
        self.violationCount += 1
        if self.violations.count < Self.violationLimit { self.violations.append(words) }
    }

    // MARK: What happened

    /// A reader begins, or begins again, after this message.
    public mutating func resumes(_ reader: String, in conversation: String, after number: Int, through node: String = "n1") {
        self.readers[reader] = Reader(conversation: conversation, connection: "\(node) after \(number)", through: number)
    }

    /// A reader sends; not for the first time where the same id went out before, over this connection or another.
    public mutating func sends(_ content: String, as localID: String, by reader: String) {
        guard let conversation = self.readers[reader]?.conversation else { preconditionFailure("\(reader) sends from nowhere") }
        let send = Send(conversation: conversation, sender: reader, localID: localID)
        if self.contents.updateValue(content, forKey: send) != nil { self.readers[reader]?.repeated[localID, default: 0] += 1 }
    }

    /// A reader was shown a message, as one of its own or of somebody else.
    public mutating func hears(_ message: Message, reader name: String) {
        guard var reader = self.readers[name] else { preconditionFailure("\(name) hears something and is nowhere") }
        let place = "\(reader.conversation): \(name) (\(reader.connection))"
        defer { self.readers[name] = reader }
        self.judge(message, in: reader.conversation, place)
        if message.sender == name, let localID = message.localID {
            self.answered.insert(Send(conversation: reader.conversation, sender: name, localID: localID))
            if message.number <= reader.through, let left = reader.repeated[localID], left > 0 {
                reader.repeated[localID] = left - 1
                return
            }
        }
        if message.number <= reader.through {
            self.object("\(place) heard message \(message.number) again, after \(reader.through)")
        } else {
            if message.number > reader.through + 1 {
                self.object("\(place) heard message \(message.number) after \(reader.through): there is a gap")
            }
            reader.through = message.number
        }
    }

    /// The whole history of a conversation as a node gives it, oldest first.
    public mutating func reads(_ history: [Message], of conversation: String, through node: String) {
        for (place, message) in history.enumerated() where message.number != place + 1 {
            self.object("\(conversation): the history through \(node) has message \(message.number) in place \(place + 1)")
            break
        }
        for message in history { self.judge(message, in: conversation, "\(conversation): the history through \(node)") }
        self.kept[conversation, default: [:]][node] = history.count
    }

    /// At the end, when all is quiet: everybody has everything.
    public mutating func conclude() {
        for conversation in self.conversations {
            let head = self.head(of: conversation)
            if self.kept[conversation, default: [:]].isEmpty { self.object("\(conversation): nobody has read its history") }
            for (node, count) in self.kept[conversation, default: [:]].sorted(by: { $0.key < $1.key }) where count != head {
                self.object("\(conversation): the history through \(node) has \(count) messages of \(head)")
            }
        }
        for (name, reader) in self.readers.sorted(by: { $0.key < $1.key }) where reader.through != self.head(of: reader.conversation) {
            self.object("\(reader.conversation): \(name) was shown \(reader.through) messages of \(self.head(of: reader.conversation))")
        }
        for send in self.answered where self.numbers[send] == nil {
            self.object("\(send.conversation): \(send.sender) was answered, and nobody knows with what")
        }
    }

    // MARK: What may be

    /// The same number is the same message for everybody, somebody has sent it, and the same send has made no other.
    private mutating func judge(_ message: Message, in conversation: String, _ place: String) {
        self.heads[conversation] = max(self.head(of: conversation), message.number)
        guard let known = self.messages[conversation]?[message.number] else {
            self.messages[conversation, default: [:]][message.number] = message
            return self.meet(message, in: conversation, place)
        }
        var shown = message
        // History has no client ids; whoever told of it first may have been history.
        if shown.localID == nil { shown.localID = known.localID }
        guard shown == known || known.localID == nil else {
            return self.object("\(place) has message \(message.number) as \(Self.text(shown)), others have \(Self.text(known))")
        }
        if known.localID == nil, shown.localID != nil {
            self.messages[conversation]?[message.number] = shown
            self.meet(shown, in: conversation, place)
        }
    }

    private mutating func meet(_ message: Message, in conversation: String, _ place: String) {
        guard let localID = message.localID else { return }
        let send = Send(conversation: conversation, sender: message.sender, localID: localID)
        guard let content = self.contents[send] else {
            return self.object("\(place) has message \(message.number) as \(Self.text(message)), which nobody has sent")
        }
        if content != message.content {
            self.object("\(place) has message \(message.number) as \(Self.text(message)), and what was sent is \"\(content)\"")
        }
        if let other = self.numbers[send], other != message.number, abs(other - message.number) <= Self.rememberedMessages {
            self.object("\(place) has message \(message.number) as \(Self.text(message)), which is message \(other) as well")
        }
        self.numbers[send] = message.number
    }

    private static func text(_ message: Message) -> String {
        "\"\(message.content)\" by \(message.sender) (\(message.localID ?? "no id"), \(message.time))"
    }
}
