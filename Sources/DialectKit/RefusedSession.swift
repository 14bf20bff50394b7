public import Bytes
public import ChatModel
public import Identity
public import JSON

/// A connection that is accepted only for its refusal to be seen: browsers show no status of a refused upgrade, but close codes.
public struct RefusedSession: DialectSession {
    private let code: UInt16
    private let reason: StaticString
    private let error: ByteBuffer?

    /// - Parameter error: a frame that goes before the close.
    public init(code: UInt16, reason: StaticString, error: ByteBuffer? = nil) {
        self.code = code
        self.reason = reason
        self.error = error
    }

    public var actor: Actor? { nil }
    public var tenant: ByteString { "" }
    public var home: ConversationKey? { nil }

    public mutating func opened(into steps: inout SessionSteps) {
        if let error = self.error { steps.reply { $0.append(contentsOf: error.bytes) } }
        steps.append(.close(self.code, self.reason))
    }

    public mutating func received(_ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp, into steps: inout SessionSteps)
    {}
    public mutating func receivedBinary(into steps: inout SessionSteps) {}
    public mutating func answered(_ answer: ChatAnswer, to tag: SessionTag, isShown: Bool, into steps: inout SessionSteps) {}
    public mutating func paged(_ page: Page?, for tag: SessionTag, into steps: inout SessionSteps) {}
    public mutating func left(_ conversation: ConversationKey, into steps: inout SessionSteps) {}
    public mutating func historyTruncated(in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps) {}
    public mutating func authenticated(_ result: Result<Identity, CredentialError>, into steps: inout SessionSteps) {}
    public mutating func expired(into steps: inout SessionSteps) {}
}
