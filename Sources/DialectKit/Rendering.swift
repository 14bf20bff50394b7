public import Bytes
public import ChatModel

/// Frames under way from a dialect to the gateway, one text behind the other.
public struct Rendering: Sendable {
    /// Where the frame that is being written goes.
    public var text = ByteBuffer(capacity: 1024)
    /// The finished frames: where each ends, whom it is for, and whether sessions that are personal have one of their own instead.
    public private(set) var frames: [(end: Int, audience: Audience, unlessPersonal: Bool)] = []
    /// The users' numbers that are known here.
    public var userNumbers = UserNumbers()
    /// Users whose numbers have to be looked up before what was rendered can be sent: until then it is not to be used.
    public private(set) var usersWithoutNumber: [UserID] = []

    public init() {}

    /// The user's number, for protocols that have them; 0, and noted, where it is not known yet.
    public mutating func number(of user: UserID, in tenant: ByteString) -> Int {
        if let number = self.userNumbers.number(of: user, in: tenant) { return number }
        if !self.usersWithoutNumber.contains(user) { self.usersWithoutNumber.append(user) }
        return 0
    }

    /// What has been written since the last frame is one.
    public mutating func finishFrame(
        for audience: Audience = .everybody, unlessTracked unlessPersonal: Bool = false
    ) {
        self.frames.append((self.text.count, audience, unlessPersonal))
    }

    /// The text of one frame.
    public func textRange(ofFrame place: Int) -> Range<Int> {
        (place == 0 ? 0 : self.frames[place - 1].end)..<self.frames[place].end
    }

    /// The frames from this one on that leave together: those that everybody gets, one behind the other.
    public func combinableFrames(from place: Int) -> Range<Int> {
        var end = place + 1
        guard case .everybody = self.frames[place].audience else { return place..<end }
        while end < self.frames.count, case .everybody = self.frames[end].audience { end += 1 }
        return place..<end
    }

    public mutating func removeAll() {
        self.text.removeAll()
        self.frames.clear(keepingCapacityUpTo: .max)
        self.usersWithoutNumber.clear(keepingCapacityUpTo: 16)
    }
}
