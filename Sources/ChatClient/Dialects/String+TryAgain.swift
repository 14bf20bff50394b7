extension String {
    /// The words of `ChatError.unavailable` and its like: the same may be tried again.
    var suggestsRetry: Bool { self.hasSuffix("try again") }
}
