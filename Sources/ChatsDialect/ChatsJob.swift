import Bytes
import ChatModel
import DialectKit

/// A request that takes several questions, and what their answers have brought so far.
struct ChatsJob: Sendable {
    let request: ChatsRequest
    /// The chats of a list, and what there is to say of each.
    var memberships: [ListedMembership] = []
    var describedChats: [ByteString: ChatsChat] = [:]
    /// How many of the list have been asked about, and how many answers have not come.
    var describeCount = 0
    var pendingDescriptions = 0
    /// The one chat that is asked about.
    var chat: ChatsChat?
    /// Newest first.
    var messages: [Message] = []
    private var contentBytes = 0
    /// Users' numbers, and who has to be looked up.
    private(set) var numbers: [UserID: Int] = [:]
    private(set) var usersWithoutNumber: [UserID] = []
    /// Ids for a chat that others had already.
    var takenIDCount = 0

    /// The answer to `getChatMessages` has no more text than this.
    private static let contentLimit = 4 << 20

    /// The millisecond at which the client sent a message: all questions of its job share that message's time. 0 for other requests.
    let requestedAt: Int64

    init(_ request: ChatsRequest, requestedAt since: Int64 = 0) {
        self.request = request
        self.requestedAt = since
    }

    // MARK: Messages

    /// Takes a page's messages that are asked for.
    ///
    /// - Returns: below which message the next page is to be read; nil when all are there.
    mutating func addPage(_ page: MessagePage, of days: DayRange, last: Int) -> SequenceNumber? {
        for message in page.messages.reversed() where !days.endsBefore(message.sentAt) {
            guard !days.startsAfter(message.sentAt), self.messages.count < last,
                self.contentBytes < Self.contentLimit
            else { return nil }
            self.messages.append(message)
            self.contentBytes += message.body.content.utf8.count
        }
        guard let first = page.messages.first?.sequence, first > page.oldest else { return nil }
        return first
    }

    // MARK: Numbers

    /// Finds out whose numbers have to be looked up.
    mutating func requireNumbers(_ users: some Sequence<UserID>) {
        for user in users where self.numbers[user] == nil {
            let own = UserNumbers.numericID(of: user)
            // A place among the known ones keeps it from being asked for twice.
            self.numbers[user] = own ?? 0
            if own == nil { self.usersWithoutNumber.append(user) }
        }
    }

    mutating func recordNumbers(_ numbers: [Int]) {
        for (user, number) in zip(self.usersWithoutNumber, numbers) { self.numbers[user] = number }
        self.usersWithoutNumber.removeFirst(min(numbers.count, self.usersWithoutNumber.count))
    }
}
