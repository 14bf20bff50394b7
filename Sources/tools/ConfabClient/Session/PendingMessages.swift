public import Bytes
import EventLoop

/// A message that is not known to be stored.
public struct PendingMessage: Sendable, Equatable {
    /// The idempotency key: the server stores a message that is sent again only once.
    public let localID: String
    public let text: String
    /// The only recipient; nil for the whole conversation.
    public var to: String?
    /// The message to which it replies.
    public var replyTo: Int?
    public var mentioned = MentionedUsers.none
    /// When the application sent it, by this machine's clock.
    public let since: Timestamp
    /// How often it was sent to the server.
    public internal(set) var tries = 0
    /// Why the server refused it for good; nil while it waits.
    public internal(set) var error: String?

    init(localID: String, text: String, to: String? = nil, since: Timestamp) {
        self.localID = localID
        self.text = text
        self.to = to
        self.since = since
    }
}

/// Messages that are not known to be stored, in order.
///
/// Only one is in flight at a time: a server that accepts some of several messages and refuses
/// others for their rate would change their order.
struct PendingMessages {
    private(set) var items: [PendingMessage] = []
    private var inFlight: (localID: String, sentAt: MonotonicTime)?
    private var readyAt = MonotonicTime(nanoseconds: .min)

    static let waitingLimit = 1000
    /// The oldest refused messages are discarded.
    static let failedLimit = 100

    init(_ items: [PendingMessage] = []) {
        self.items = items
    }

    /// How many messages wait, without refused ones.
    var waitingCount: Int { self.items.count { $0.error == nil } }
    var isFull: Bool { self.waitingCount >= Self.waitingLimit }
    /// The next message to store; it may be in flight.
    var first: PendingMessage? { self.items.first { $0.error == nil } }

    func item(_ localID: String) -> PendingMessage? { self.items.first { $0.localID == localID } }

    func isInFlight(_ localID: String) -> Bool { self.inFlight?.localID == localID }

    mutating func add(_ item: PendingMessage) { self.items.append(item) }

    /// Returns the message to send next, and marks it as in flight.
    ///
    /// - Parameter mayRepeat: whether a message may be sent that was sent before.
    mutating func beginSendingNext(at now: MonotonicTime, mayRepeat: Bool) -> PendingMessage? {
        guard self.inFlight == nil, now >= self.readyAt,
            let index = self.items.firstIndex(where: { $0.error == nil }),
            mayRepeat || self.items[index].tries == 0
        else { return nil }
        self.items[index].tries += 1
        self.inFlight = (self.items[index].localID, now)
        return self.items[index]
    }

    /// The connection ended: the message in flight must be sent again.
    mutating func connectionLost() {
        self.inFlight = nil
        self.readyAt = MonotonicTime(nanoseconds: .min)
    }

    /// Removes a message that is stored or discarded. Returns nil if it is not here.
    mutating func remove(_ localID: String) -> PendingMessage? {
        guard let index = self.items.firstIndex(where: { $0.localID == localID }) else {
            return nil
        }
        if self.isInFlight(localID) { self.connectionLost() }
        return self.items.remove(at: index)
    }

    /// The server refused a message for good; the next one may be sent.
    mutating func fail(_ localID: String, _ error: String) {
        guard let index = self.items.firstIndex(where: { $0.localID == localID }) else { return }
        if self.isInFlight(localID) { self.connectionLost() }
        self.items[index].error = error
    }

    /// Puts a refused message behind those that wait. Returns nil if it was not refused.
    mutating func retry(_ localID: String) -> PendingMessage? {
        guard let index = self.items.firstIndex(where: { $0.localID == localID }),
            self.items[index].error != nil
        else { return nil }
        var item = self.items.remove(at: index)
        item.error = nil
        self.items.append(item)
        return item
    }

    /// Sends the message in flight again, not before a time.
    mutating func postpone(until moment: MonotonicTime) {
        self.inFlight = nil
        self.readyAt = moment
    }

    /// The refused message to discard, if there are too many.
    var excessFailure: String? {
        let failed = self.items.filter { $0.error != nil }
        return failed.count > Self.failedLimit ? failed[0].localID : nil
    }

    /// When the message in flight was sent; nil when none is in flight.
    var sentAt: MonotonicTime? { self.inFlight?.sentAt }
}
