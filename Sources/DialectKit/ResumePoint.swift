import ChatModel

/// Where a client wants to go on, as the query of its connection says it: `after=<message id>&rev=<revision>`.
///
/// A class, because it is needed once, and there may be very many quiet connections.
public final class ResumePoint: Sendable {
    public let start: StartPosition
    /// What is wrong with the query, as a sentence that names the parameter; nil where nothing is.
    public let error: String?

    /// Nil where the query has neither parameter.
    ///
    /// - Parameters:
    ///   - after: the id of the last message that the client has.
    ///   - rev: the highest revision that it has seen.
    public init?(after: String?, rev: String?) {
        guard after != nil || rev != nil else { return nil }
        guard let after else {
            (self.start, self.error) = (.now, "rev: stands for nothing without after")
            return
        }
        guard let sequence = MessageID.sequence(after) else {
            (self.start, self.error) = (.now, "after: is no message id")
            return
        }
        // Written as a message's id is.
        let revision = rev.flatMap(MessageID.sequence)
        self.start = .after(sequence, since: revision)
        self.error = rev != nil && revision == nil ? "rev: is no revision" : nil
    }
}
