public import Bytes
public import ChatModel

/// Rendered frames on their way from a dialect to the gateway, one after the other in one text.
public struct Rendering: Sendable {
    /// The buffer to which a dialect writes the current frame.
    public var text = ByteBuffer(capacity: 1024)
    /// The finished frames: the end of each in the text, its audience, and whether sessions that
    /// track deliveries send a frame of their own instead.
    public private(set) var frames: [(end: Int, audience: Audience, unlessTracked: Bool)] = []
    /// The known user numbers.
    public var userNumbers = UserNumbers()
    /// Users whose numbers must be looked up. Until then the rendered frames must not be used.
    public private(set) var usersWithoutNumber: [UserID] = []

    public init() {}

    /// The user's number, for protocols that use them. If it is unknown, returns 0 and records the
    /// user.
    public mutating func number(of user: UserID, in tenant: ByteString) -> Int {
        if let number = self.userNumbers.number(of: user, in: tenant) { return number }
        if !self.usersWithoutNumber.contains(user) { self.usersWithoutNumber.append(user) }
        return 0
    }

    /// Ends the current frame: all text since the previous frame.
    public mutating func finishFrame(
        for audience: Audience = .everybody, unlessTracked: Bool = false
    ) {
        self.frames.append((self.text.count, audience, unlessTracked))
    }

    /// The range of a frame in the text.
    public func textRange(ofFrame index: Int) -> Range<Int> {
        (index == 0 ? 0 : self.frames[index - 1].end)..<self.frames[index].end
    }

    /// The frames from this one on that can be sent together: consecutive frames for everybody.
    public func combinableFrames(from index: Int) -> Range<Int> {
        var end = index + 1
        guard case .everybody = self.frames[index].audience else { return index..<end }
        while end < self.frames.count, case .everybody = self.frames[end].audience { end += 1 }
        return index..<end
    }

    public mutating func removeAll() {
        self.text.removeAll()
        self.frames.clear(keepingCapacityUpTo: .max)
        self.usersWithoutNumber.clear(keepingCapacityUpTo: 16)
    }
}
