public import Bytes
public import ChatModel
public import Identity
public import JSON

/// A connection that is accepted only to be closed with a code: browsers do not show the HTTP
/// status of a refused upgrade.
public struct RefusedSession: DialectSession {
    public let code: UInt16
    public let reason: StaticString
    private let error: ByteBuffer?

    /// - Parameter error: a frame that is sent before the close.
    public init(code: UInt16, reason: StaticString, error: ByteBuffer? = nil) {
        self.code = code
        self.reason = reason
        self.error = error
    }

    public var principal: Principal? { nil }
    public var tenant: ByteString { "" }

    public mutating func opened(into steps: inout SessionSteps) {
        if let error = self.error { steps.reply { $0.append(contentsOf: error.bytes) } }
        steps.append(.close(self.code, self.reason.description))
    }

    public mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) {}
    public mutating func receivedBinary(into steps: inout SessionSteps) {}
    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool,
        into steps: inout SessionSteps
    ) {}
    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {}
    public mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) {}
    public mutating func tokenExpired(into steps: inout SessionSteps) {}
}
