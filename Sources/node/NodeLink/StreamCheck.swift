public import ChatModel

/// Checks whether a conversation's stream is complete, from its pages, oldest first.
public struct StreamCheck: Sendable {
    /// A limit for streams that are broken everywhere.
    public static let faultLimit = 20

    public private(set) var oldest = 1
    public private(set) var last = 0
    public private(set) var count = 0
    /// The stream's revision in the last page.
    public private(set) var revision = 0
    public private(set) var faults: [String] = []
    private var head = 0
    private var oldestRetained = 1
    /// The highest revision of unedited messages.
    private var lastRevision = 0
    private var revisions: Set<Int> = []
    private var hasBegun = false

    /// A check that has seen nothing yet.
    public init() {}

    /// The oldest message that should be retained.
    public mutating func begin(oldest: Int) {
        self.oldest = oldest
    }

    /// Records that a message is missing or unreadable.
    public mutating func skip(_ number: Int, _ reason: String) {
        self.add(reason)
        self.hasBegun = true
        self.last = max(self.last, number)
    }

    /// The next page.
    public mutating func check(_ page: MessagePage) {
        for message in page.messages {
            let number = message.sequence
            if !self.hasBegun {
                self.hasBegun = true
                if number != self.oldest {
                    self.add("the oldest message is \(number); \(self.oldest) should be retained")
                }
            } else if number <= self.last {
                self.add("message \(number) comes after \(self.last)")
            } else if number > self.last + 1 {
                self.add(
                    number == self.last + 2
                        ? "message \(self.last + 1) is missing"
                        : "messages \(self.last + 1) to \(number - 1) are missing")
            }
            // A change raises a message's revision. The revisions of unchanged ones increase with
            // their numbers.
            if !message.wasAmended {
                if message.revision <= self.lastRevision {
                    self.add(
                        """
                        message \(number) has revision \(message.revision), no higher than one \
                        before it
                        """
                    )
                }
                self.lastRevision = max(self.lastRevision, message.revision)
            }
            if !self.revisions.insert(message.revision).inserted {
                self.add("revision \(message.revision) belongs to two messages")
            }
            if message.revision > page.revision {
                self.add(
                    """
                    message \(number) has revision \(message.revision), above the stream's \
                    \(page.revision)
                    """
                )
            }
            self.last = max(self.last, number)
            self.count += 1
        }
        self.head = page.head
        self.revision = page.revision
        self.oldestRetained = page.oldest
    }

    /// The end of the stream was reached.
    public mutating func finish() {
        if self.count == 0, self.oldestRetained > self.head {
            // Nothing is retained any more.
            self.last = self.head
        } else if self.last < self.head {
            self.add("the stream ends at \(self.last); its head is \(self.head)")
        }
    }

    /// Compares with the last message and revision that the owner knows to be stored.
    public mutating func compare(ownerHead: Int, ownerRevision: Int) {
        if ownerHead > self.last {
            self.add("the owner is at message \(ownerHead); the stream ends at \(self.last)")
        }
        if ownerHead < self.last, ownerRevision > self.revision {
            self.add("the owner is at message \(ownerHead); the stream continues to \(self.last)")
        }
    }

    /// Compares with the head in the conversation's record, read before the stream.
    public mutating func compare(recordedHead: Int) {
        if recordedHead > self.last {
            self.add("the record names message \(recordedHead); the stream ends at \(self.last)")
        }
    }

    /// Adds a fault, as a sentence, up to the limit.
    public mutating func add(_ fault: String) {
        if self.faults.count < Self.faultLimit { self.faults.append(fault) }
    }
}
