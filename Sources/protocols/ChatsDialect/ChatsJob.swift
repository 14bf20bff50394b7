import Bytes
import ChatModel
import DialectKit

/// A request that takes several steps, and the answers collected so far.
struct ChatsJob: Sendable {
    let request: ChatsRequest
    /// The chats of a list, and the details of each.
    var list: MembershipList
    var describedChats: [ByteString: ChatsChat] = [:]
    /// The bytes of the participants in these.
    var describedBytes: Int {
        self.describedChats.values.reduce(0) { sum, chat in
            chat.members.reduce(sum) { $0 + Self.participantBytes + $1.name.byteCount }
        }
    }
    private static let participantBytes = 64
    /// The number of listed chats whose details were requested, and of those not yet answered.
    var describeCount = 0
    var pendingDescriptions = 0
    /// The requested chat.
    var chat: ChatsChat?
    /// The collected messages, newest first.
    var messages: [Message] = []
    /// The message before which the client continues, if the requested range may have older ones.
    private(set) var rest: SequenceNumber?
    private var examinedCount = 0
    /// The most messages that a request examines.
    static let examinedLimit = 10_000
    private var contentBytes = 0
    /// Users' numbers, and the users whose numbers must be looked up.
    private(set) var numbers: [UserID: Int] = [:]
    private(set) var usersWithoutNumber: [UserID] = []
    /// The number of new ids that other chats already have.
    var takenIDCount = 0

    /// The maximum size of all texts in an answer to `getChatMessages`.
    private let contentLimit: Int

    /// The millisecond at which the client sent a message. All steps of its job share that
    /// message's timeout. 0 for other requests.
    let requestedAt: Int64

    /// - Parameter byteLimit: the bytes of a list of chats, and of the texts of messages.
    init(_ request: ChatsRequest, requestedAt: Int64 = 0, byteLimit: Int = .max) {
        self.request = request
        self.list = MembershipList(byteLimit: byteLimit)
        self.contentLimit = byteLimit
        self.requestedAt = requestedAt
    }

    // MARK: Messages

    /// Adds the messages of a page that are in the requested range.
    ///
    /// - Returns: the message before which the next page must be read; nil when all messages are
    ///   collected.
    mutating func addPage(_ page: MessagePage, of days: DayRange, last: Int) -> SequenceNumber? {
        for message in page.messages.reversed() where !days.endsBefore(message.sentAt) {
            guard !days.startsAfter(message.sentAt), self.messages.count < last else {
                return nil
            }
            guard self.contentBytes < self.contentLimit else {
                self.rest = self.messages.last?.sequence
                return nil
            }
            self.messages.append(message)
            self.contentBytes += message.body.content.utf8.count
        }
        guard let first = page.messages.first?.sequence, first > page.oldest else { return nil }
        self.examinedCount += page.messages.count
        guard self.examinedCount < Self.examinedLimit else {
            self.rest = first
            return nil
        }
        return first
    }

    // MARK: User numbers

    /// Determines whose numbers must be looked up.
    mutating func requireNumbers(_ users: some Sequence<UserID>) {
        for user in users where self.numbers[user] == nil {
            let numericID = UserNumbers.numericID(of: user)
            // The 0 prevents a second lookup of the same user.
            self.numbers[user] = numericID ?? 0
            if numericID == nil { self.usersWithoutNumber.append(user) }
        }
    }

    mutating func recordNumbers(_ numbers: [Int]) {
        for (user, number) in zip(self.usersWithoutNumber, numbers) { self.numbers[user] = number }
        self.usersWithoutNumber.removeFirst(min(numbers.count, self.usersWithoutNumber.count))
    }
}
