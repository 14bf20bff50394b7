import ChatModel

/// The position from which a client resumes, from the query of its connection: `after=<message
/// id>&rev=<revision>`.
///
/// A class, because it is needed only once, and a node may have many quiet connections.
public final class ResumePoint: Sendable {
    public let start: StartPosition
    /// The error in the query, as a sentence that names the parameter; nil if the query is valid.
    public let error: String?

    /// Nil if the query has neither parameter.
    ///
    /// - Parameters:
    ///   - after: the id of the last message that the client has.
    ///   - rev: the highest revision that the client has seen.
    public init?(after: String?, rev: String?) {
        guard after != nil || rev != nil else { return nil }
        guard let after else {
            (self.start, self.error) = (.now, "rev: stands for nothing without after")
            return
        }
        guard let sequence = MessageID.sequence(after) else {
            (self.start, self.error) = (.now, "after: must be a message id")
            return
        }
        // Revisions are written like message ids.
        let revision = rev.flatMap(MessageID.sequence)
        self.start = .after(sequence, since: revision)
        self.error = rev != nil && revision == nil ? "rev: must be a revision" : nil
    }
}
