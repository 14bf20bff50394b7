public import ChatModel

/// The limits of the chat, with durations in milliseconds. One instance serves all conversations of
/// a loop.
///
/// A class, so that a conversation holds one reference and not its own copy of every limit.
public final class ConversationRules: Sendable {
    public let limits: Limits
    let typingTimeout: Int64
    let reactionInterval: Int64
    let minimumAbsence: Int64
    let arrivalInterval: Int64
    let crowdInterval: Int64
    let deliveredFlushDelay: Int64
    let recovery: RecoveryPolicy
    /// The most inputs that wait for the store; further ones are refused and must be retried.
    static let waitingLimit = 4096
    /// The most members whose inboxes a mention of all is posted to.
    static let mentionedInboxLimit = 200
    /// How long a new owner waits for the loops' reports before it announces members as offline, in
    /// milliseconds.
    static let presenceGrace: Int64 = 5000
    /// As `Timestamp.guestLifetime` for a guest whose departure the owner has not seen, from its
    /// joining on.
    static let guestMembership: Int64 = 86_400_000
    /// The delay before cursors that could not be stored are written again, in milliseconds.
    static let cursorRetryDelay: Int64 = 1000

    /// How often a conversation is loaded again because the store's newest messages do not match.
    static let staleReadLimit = 3
    /// How long an owner waits for lost changes before it gives up their numbers, in milliseconds.
    static let holderTimeout: Int64 = 2000

    public init(_ limits: Limits) {
        self.limits = limits
        self.typingTimeout = limits.typing.wholeMilliseconds
        self.reactionInterval = limits.reactionInterval.wholeMilliseconds
        self.minimumAbsence = limits.minimumAbsence.wholeMilliseconds
        self.arrivalInterval = limits.arrivalInterval.wholeMilliseconds
        self.crowdInterval = limits.crowdInterval.wholeMilliseconds
        self.deliveredFlushDelay = limits.deliveredFlushDelay.wholeMilliseconds
        self.recovery = RecoveryPolicy(limits.retention)
    }
}

/// Whether the store may lose acknowledged changes, as Redis may.
///
/// Other nodes read the same store then, so an owner may also be behind another one.
public enum RecoveryPolicy: Sendable, Equatable {
    case none
    /// Owners retain their changes for this time.
    case retaining(milliseconds: Int64)

    /// - Parameter retention: zero for a store that loses nothing.
    public init(_ retention: Duration) {
        let milliseconds = retention.wholeMilliseconds
        self = milliseconds > 0 ? .retaining(milliseconds: milliseconds) : .none
    }

    public var isEnabled: Bool { self != .none }

    /// Whether the store may still lose this change.
    func retains(_ write: RetainedWrite, at now: ClockReading) -> Bool {
        guard case .retaining(let milliseconds) = self else { return false }
        return write.storedAt >= now.monotonic - milliseconds
    }
}
