/// Judges what the members of conversations were told: takes everything that happened, in any conversation, and says what is wrong.
///
/// It knows only what clients can know, and the promises: what was answered is stored, numbers are 1, 2, 3 … and mean the same message
/// for everybody, nobody misses or hears one twice, what one connection sends has the order in which it was sent, a send that is repeated is
/// answered with the first message, a refused message is in no history, and neither an edit nor a deletion is ever taken back.
public struct HistoryChecker: Sendable {
    /// A message as somebody was told it.
    public struct Message: Sendable, Equatable {
        public var number: Int
        public var sender: String
        /// The client's own id; pages of history do not have it.
        public var localID: String?
        public var content: String
        public var time: String
        public var state: State

        /// In the order in which a message goes through them.
        public enum State: Int, Sendable, Comparable {
            case sent, edited, deleted

            public static func < (first: Self, second: Self) -> Bool { first.rawValue < second.rawValue }
        }

        public init(_ number: Int, by sender: String, as localID: String?, _ content: String, at time: String, _ state: State = .sent) {
            self.number = number
            self.sender = sender
            self.localID = localID
            self.content = content
            self.time = time
            self.state = state
        }
    }

    /// A message as everybody knows it.
    private struct Known {
        /// As it was told first.
        var message: Message
        /// Its words in each state that somebody was told.
        var contents: [Message.State: String]

        func inState(of other: Message) -> Message {
            var message = self.message
            message.state = other.state
            message.content = self.contents[other.state] ?? other.content
            return message
        }
    }

    /// What a message's author wants it to become; one edit at most.
    private struct Wish {
        var edit: String?
        var deletion = false
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
        /// What it has sent on this connection for the first time and has no answer to, in order.
        var underWay: [String] = []
    }

    /// The promise is for the newest 1,000 messages.
    private static let rememberedMessages = 1000
    /// What follows from one fault would fill pages.
    private static let violationLimit = 100

    private var contents: [Send: String] = [:]
    private var numbers: [Send: Int] = [:]
    private var answered: Set<Send> = []
    /// How often each was sent without an answer that refused it.
    private var open: [Send: Int] = [:]
    /// What refused sends said, by conversation and sender: histories have no client ids.
    private var refusals: [String: [String: Set<String>]] = [:]
    private var messages: [String: [Int: Known]] = [:]
    private var wishes: [String: [Int: Wish]] = [:]
    /// By reader, the edits and deletions that it was told of, over whatever connection.
    private var told: [String: [Int: Message.State]] = [:]
    private var lost: [String: Set<Int>] = [:]
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
        self.open[send, default: 0] += 1
        self.refusals[conversation]?[reader]?.remove(content)
        if self.contents.updateValue(content, forKey: send) != nil {
            self.readers[reader]?.repeated[localID, default: 0] += 1
        } else {
            self.readers[reader]?.underWay.append(localID)
        }
    }

    /// A reader was told that its send could not be done, and that it may try again: others may come before it then.
    ///
    /// - Parameter isRefused: whether it was told that the message is not stored and never will be. That is judged when no other try of the
    ///   same send is open.
    public mutating func failed(_ localID: String, of reader: String, isRefused: Bool) {
        self.readers[reader]?.underWay.removeAll { $0 == localID }
        guard isRefused, let conversation = self.readers[reader]?.conversation else { return }
        let send = Send(conversation: conversation, sender: reader, localID: localID)
        self.open[send, default: 1] -= 1
        guard self.open[send] == 0, let content = self.contents[send] else { return }
        if let number = self.numbers[send] { return self.object("\(conversation): \(localID) is message \(number), and was refused") }
        self.refusals[conversation, default: [:]][reader, default: []].insert(content)
    }

    /// A reader was shown a message, as one of its own or of somebody else.
    public mutating func hears(_ message: Message, reader name: String) {
        guard var reader = self.readers[name] else { preconditionFailure("\(name) hears something and is nowhere") }
        let place = "\(reader.conversation): \(name) (\(reader.connection))"
        defer { self.readers[name] = reader }
        self.judge(message, in: reader.conversation, place)
        self.judgeState(of: message, reader: name, place)
        if message.sender == name, let localID = message.localID {
            self.answered.insert(Send(conversation: reader.conversation, sender: name, localID: localID))
            if let index = reader.underWay.firstIndex(of: localID) {
                if index > 0 { self.object("\(place) heard its own \(localID) before \(reader.underWay[0]), which it had sent earlier") }
                reader.underWay.remove(at: index)
            }
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

    /// The author of a message asks for other words, or for its deletion.
    public mutating func amends(_ number: Int, in conversation: String, to content: String?) {
        if let content {
            self.wishes[conversation, default: [:]][number, default: Wish()].edit = content
        } else {
            self.wishes[conversation, default: [:]][number, default: Wish()].deletion = true
        }
    }

    /// A reader was told of an edit or a deletion.
    public mutating func hearsAmended(_ message: Message, reader name: String) {
        guard let reader = self.readers[name] else { preconditionFailure("\(name) hears something and is nowhere") }
        let place = "\(reader.conversation): \(name) (\(reader.connection))"
        self.judge(message, in: reader.conversation, place)
        self.judgeState(of: message, reader: name, place)
    }

    /// The whole history of a conversation as a node gives it, oldest first.
    public mutating func reads(_ history: [Message], of conversation: String, through node: String) {
        for (place, message) in history.enumerated() where message.number != place + 1 {
            self.object("\(conversation): the history through \(node) has message \(message.number) in place \(place + 1)")
            break
        }
        for message in history {
            let place = "\(conversation): the history through \(node)"
            self.judge(message, in: conversation, place)
            let last = self.messages[conversation]?[message.number]?.contents.keys.max() ?? .sent
            if message.state < last, message.sender != Self.nobody {
                self.object("\(place) has message \(message.number) as \(message.state), and it was \(last)")
            }
        }
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
        for send in self.answered where self.numbers[send] == nil && self.lost[send.conversation] == nil {
            self.object("\(send.conversation): \(send.sender) was answered, and nobody knows with what")
        }
    }

    // MARK: What may be

    /// The same number is the same message for everybody, somebody has sent it, and the same send has made no other.
    private mutating func judge(_ message: Message, in conversation: String, _ place: String) {
        self.heads[conversation] = max(self.head(of: conversation), message.number)
        self.judgeWish(message, in: conversation, place)
        if self.refusals[conversation]?[message.sender]?.contains(message.content) == true {
            self.object("\(place) has message \(message.number) as \(Self.text(message)), which was refused")
        }
        guard var known = self.messages[conversation]?[message.number] else {
            self.messages[conversation, default: [:]][message.number] = Known(message: message, contents: [message.state: message.content])
            return self.meet(message, in: conversation, place)
        }
        let expected = known.inState(of: message)
        var shown = message
        // History has no client ids; whoever told of it first may have been history.
        if shown.localID == nil { shown.localID = expected.localID }
        guard shown == expected || expected.localID == nil else {
            if shown.sender == Self.nobody { return self.loses(known.message, in: conversation) }
            return self.object("\(place) has message \(message.number) as \(Self.text(shown)), others have \(Self.text(expected))")
        }
        let isFirstLive = expected.localID == nil && shown.localID != nil
        if isFirstLive { known.message = shown }
        known.contents[message.state] = message.content
        self.messages[conversation]?[message.number] = known
        if isFirstLive { self.meet(shown, in: conversation, place) }
    }

    /// Once for each message, whoever is told of it.
    private mutating func loses(_ message: Message, in conversation: String) {
        guard self.lost[conversation, default: []].insert(message.number).inserted else { return }
        self.object(
            "\(conversation): message \(message.number), \(Self.text(message)), was shown and is lost: nobody had it any more after the store"
                + " forgot it, and an empty one of nobody's has its number")
        // Its author may send it again, and then it is another message.
        if let localID = message.localID {
            self.numbers[Send(conversation: conversation, sender: message.sender, localID: localID)] = nil
        }
    }

    /// Only what its author wanted becomes of a message.
    private mutating func judgeWish(_ message: Message, in conversation: String, _ place: String) {
        let wish = self.wishes[conversation]?[message.number]
        switch message.state {
        case .sent: return
        case .edited: if wish?.edit == message.content { return }
        case .deleted: if message.content.isEmpty, wish?.deletion == true || message.sender == Self.nobody { return }
        }
        self.object("\(place) has message \(message.number) as \(Self.text(message)), \(message.state), which nobody wanted")
    }

    /// Nobody is shown again what was taken away before their eyes.
    private mutating func judgeState(of message: Message, reader: String, _ place: String) {
        let last = self.told[reader]?[message.number] ?? .sent
        if message.state < last {
            let isOwn = message.sender == reader ? "its own " : ""
            self.object("\(place) was shown \(isOwn)message \(message.number) as \(message.state) after it was \(last)")
        } else if message.state > last {
            self.told[reader, default: [:]][message.number] = message.state
        }
    }

    /// Whose messages stand for those that the store has forgotten and nobody has any more.
    private static let nobody = "nobody"

    private mutating func meet(_ message: Message, in conversation: String, _ place: String) {
        guard let localID = message.localID else { return }
        let send = Send(conversation: conversation, sender: message.sender, localID: localID)
        guard let content = self.contents[send] else {
            return self.object("\(place) has message \(message.number) as \(Self.text(message)), which nobody has sent")
        }
        if message.state == .sent, content != message.content {
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
