import Bytes
import ChatModel
import DialectKit

/// A request that takes several questions, and what their answers have brought so far.
struct ChatsJob: Sendable {
    let request: ChatsRequest
    /// The chats of a list, and what there is to say of each.
    var listed: [ListedMembership] = []
    var described: [ByteString: ChatsChat] = [:]
    /// How many of the list have been asked about, and how many answers have not come.
    var asked = 0
    var waiting = 0
    /// The one chat that is asked about.
    var chat: ChatsChat?
    /// Newest first.
    var messages: [Message] = []
    private var contentBytes = 0
    /// Users' numbers, and who has to be looked up.
    private(set) var numbers: [UserID: Int] = [:]
    private(set) var unnumbered: [UserID] = []
    /// Ids for a chat that others had already.
    var triedIDs = 0

    /// The answer to `getChatMessages` has no more text than this.
    private static let contentLimit = 4 << 20

    /// The millisecond at which the client sent a message: all questions of its job share that message's time. 0 for other requests.
    let since: Int64

    init(_ request: ChatsRequest, since: Int64 = 0) {
        self.request = request
        self.since = since
    }

    // MARK: Messages

    /// Takes a page's messages that are asked for.
    ///
    /// - Returns: below which message the next page is to be read; nil when all are there.
    mutating func take(_ page: Page, of days: DayRange, last: Int) -> SequenceNumber? {
        for message in page.messages.reversed() where !days.isBehind(message.sentAt) {
            guard !days.isBefore(message.sentAt), self.messages.count < last, self.contentBytes < Self.contentLimit else { return nil }
            self.messages.append(message)
            self.contentBytes += message.body.content.utf8.count
        }
        guard let first = page.messages.first?.sequence, first > page.oldest else { return nil }
        return first
    }

    // MARK: Numbers

    /// Finds out whose numbers have to be looked up.
    mutating func need(_ users: some Sequence<UserID>) {
        for user in users where self.numbers[user] == nil {
            let own = UserNumbers.ownNumber(of: user)
            // A place among the known ones keeps it from being asked for twice.
            self.numbers[user] = own ?? 0
            if own == nil { self.unnumbered.append(user) }
        }
    }

    mutating func note(_ numbers: [Int]) {
        for (user, number) in zip(self.unnumbered, numbers) { self.numbers[user] = number }
        self.unnumbered.removeFirst(min(numbers.count, self.unnumbered.count))
    }
}
