public import ChatModel

/// The limits of the chat in the units in which conversations reckon; one for all conversations of a loop.
///
/// A class, so that a conversation holds one reference and not its own copy of every limit.
public final class ConversationRules: Sendable {
    let limits: ChatLimits
    let typing: Int64
    let minimumAbsence: Int64
    let arrivalInterval: Int64
    let crowdInterval: Int64
    let deliveredFlushDelay: Int64
    let retention: Int64
    /// Commands that wait until the store has told about the conversation; those beyond are told to try again.
    static let waitingLimit = 4096
    /// A new owner waits so long, in milliseconds, for whom the loops know to be online before it calls them offline.
    static let presenceGrace: Int64 = 5000
    /// Cursors that could not be stored are tried again after this many milliseconds.
    static let cursorRetryDelay: Int64 = 1000

    /// What the store has forgotten is waited for so long, in milliseconds, before its numbers are given up.
    static let holderTimeout: Int64 = 2000

    public init(_ limits: ChatLimits) {
        self.limits = limits
        self.typing = limits.typingTimeout.wholeMilliseconds
        self.minimumAbsence = limits.minimumAbsence.wholeMilliseconds
        self.arrivalInterval = limits.arrivalInterval.wholeMilliseconds
        self.crowdInterval = limits.crowdInterval.wholeMilliseconds
        self.deliveredFlushDelay = limits.deliveredFlushDelay.wholeMilliseconds
        self.retention = limits.retention.wholeMilliseconds
    }
}
