/// The reason why a test cannot continue, with what it saw instead.
public struct TestFailure: Error, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}
