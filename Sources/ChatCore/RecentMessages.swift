import ChatModel

/// What an owner remembers of a conversation's newest messages: which sends they came from, and who has had them.
///
/// It answers two questions without asking the store: has this send been made before, and which of these messages
/// has nobody else had yet?
struct RecentMessages: Sendable {
    struct Mark: OptionSet, Sendable {
        let rawValue: UInt32
        static let delivered = Mark(rawValue: 1 << 30)
        static let read = Mark(rawValue: 1 << 31)
    }

    /// At least this many of the newest messages are remembered, at most twice as many.
    let limit: Int
    /// The message that stands at place 0 of `authors`.
    private var first: SequenceNumber
    /// Author number, with the marks in the two highest bits.
    private var authors: [UInt32] = []
    // Two generations instead of one map that forgets one by one: the older is dropped whole when the younger is full.
    private var younger: [UInt64: SequenceNumber] = [:]
    private var older: [UInt64: SequenceNumber] = [:]

    /// Remembers nothing yet of a conversation whose next message has this number.
    init(next: SequenceNumber, limit: Int) {
        self.first = next
        self.limit = limit
    }

    private static let authorMask: UInt32 = (1 << 30) - 1

    /// The messages remembered.
    var range: Range<SequenceNumber> { self.first..<(self.first + self.authors.count) }

    mutating func append(author: UInt32, client: UInt64?) {
        if self.authors.count >= 2 * self.limit {
            self.authors.removeFirst(self.limit)
            self.first += self.limit
        }
        if let client {
            if self.younger.count >= self.limit {
                self.older = self.younger
                self.younger = [:]
            }
            self.younger[client] = self.first + self.authors.count
        }
        self.authors.append(author)
    }

    /// The message that a send under this hash made, if it is remembered. The hash may deceive: look at the message.
    func sequence(client: UInt64) -> SequenceNumber? {
        self.younger[client] ?? self.older[client]
    }

    /// Takes back a message whose number was given but that was not stored.
    mutating func removeLast(client: UInt64?) {
        self.authors.removeLast()
        if let client { self.younger[client] = nil }
    }

    func author(of sequence: SequenceNumber) -> UInt32? {
        self.range.contains(sequence) ? self.authors[sequence - self.first] & Self.authorMask : nil
    }

    func isMarked(_ sequence: SequenceNumber, _ mark: Mark) -> Bool {
        self.range.contains(sequence) && self.authors[sequence - self.first] & mark.rawValue != 0
    }

    mutating func mark(_ sequence: SequenceNumber, _ mark: Mark) {
        guard self.range.contains(sequence) else { return }
        self.authors[sequence - self.first] |= mark.rawValue
    }

    /// What a send is remembered by. Seeded for each process, so that nobody can choose ids that collide.
    static func hash(author: UserID, client: ClientID) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(author)
        hasher.combine(client)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
