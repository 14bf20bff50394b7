public import Bytes
public import ChatModel

/// The loop that sent a request, and the request's id. Request 0 expects no answer.
public struct RequestOrigin: Sendable {
    public let loop: LoopID
    public let request: RequestID
    /// The request was sent before and may have been executed. It is not an error if its change is
    /// already done.
    public let isRetry: Bool
    /// The slot of the conversation's feed in the loop's table.
    public let feedSlot: UInt32
    /// See `Message.acceptedAt`.
    public let acceptedAt: Int64

    public init(
        loop: LoopID, request: RequestID, isRetry: Bool = false,
        feedSlot: UInt32 = .max, acceptedAt: Int64 = 0
    ) {
        self.loop = loop
        self.request = request
        self.isRetry = isRetry
        self.feedSlot = feedSlot
        self.acceptedAt = acceptedAt
    }

    /// Whether it is the same request, perhaps as a retry.
    func isSame(as other: RequestOrigin) -> Bool {
        self.request == other.request && self.loop == other.loop
    }
}

/// A loop's id for a request that expects an answer; 0 stands for a request that expects none.
public struct RequestID: RawRepresentable, Sendable, Hashable, ExpressibleByIntegerLiteral {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public init(integerLiteral value: UInt64) {
        self.rawValue = value
    }
}

extension RequestID: SlotKey {
    public var slot: UInt32 { UInt32(truncatingIfNeeded: self.rawValue) }
    public var generation: UInt32 { UInt32(truncatingIfNeeded: self.rawValue >> 32) }

    public init(slot: UInt32, generation: UInt32) {
        self.rawValue = SlotID(slot: slot, generation: generation).bits
    }
}
