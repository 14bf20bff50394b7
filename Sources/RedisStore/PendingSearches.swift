import Bytes
import ChatModel

/// The searches of one store: a few at once, so that they leave time for messages; the others wait
/// in the order of their requests.
struct PendingSearches {
    static let activeLimit = 4
    static let waitingLimit = 64

    private var active = Slab<MessageSearch>()
    private var activeCount = 0
    private var waiting: [MessageSearch] = []

    enum Admission {
        case started(MessageSearchID)
        case waits
        case full
    }

    mutating func add(_ search: MessageSearch) -> Admission {
        guard self.activeCount == Self.activeLimit else { return .started(self.start(search)) }
        guard self.waiting.count < Self.waitingLimit else { return .full }
        self.waiting.append(search)
        return .waits
    }

    subscript(id: MessageSearchID) -> MessageSearch? {
        get { self.active[id.rawValue] }
        _modify { yield &self.active[id.rawValue] }
    }

    /// Removes a search that has ended, and starts the next one.
    ///
    /// - Returns: the id of the next one, if one waits.
    mutating func end(_ id: MessageSearchID) -> MessageSearchID? {
        guard self.active.remove(id.rawValue) != nil else { return nil }
        self.activeCount -= 1
        return self.waiting.isEmpty ? nil : self.start(self.waiting.removeFirst())
    }

    private mutating func start(_ search: MessageSearch) -> MessageSearchID {
        self.activeCount += 1
        return MessageSearchID(rawValue: self.active.insert(search))
    }
}
