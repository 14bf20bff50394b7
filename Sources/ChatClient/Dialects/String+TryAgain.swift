extension String {
    /// The words of `ChatError.unavailable` and its like: the same may be tried again.
    var asksToTryAgain: Bool { self.hasSuffix("try again") }
}
