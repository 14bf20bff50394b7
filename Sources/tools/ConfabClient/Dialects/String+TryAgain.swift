extension String {
    /// Whether an error text says that a retry may succeed, as that of `ChatError.unavailable`
    /// does.
    var suggestsRetry: Bool { self.hasSuffix("try again") }
}
