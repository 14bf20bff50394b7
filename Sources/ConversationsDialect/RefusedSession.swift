import Bytes
import ChatModel
import DialectKit
import Identity
import JSON

/// A connection that is accepted only for its refusal to be seen.
struct RefusedSession: DialectSession {
    let code: UInt16
    let reason: StaticString
    var error: String?
    var actor: Actor? { nil }
    var tenant: ByteString { "" }
    var home: ConversationKey? { nil }

    mutating func opened(into steps: inout SessionSteps) {
        if let error = self.error { steps.reply { $0.append(error: error, action: "connect") } }
        steps.append(.close(self.code, self.reason))
    }

    mutating func received(_ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp, into steps: inout SessionSteps) {}
    mutating func receivedBinary(into steps: inout SessionSteps) {}
    mutating func receivedTooLong(limit: Int, into steps: inout SessionSteps) {}
    mutating func answered(_ answer: ChatAnswer, to tag: SessionTag, isShown: Bool, into steps: inout SessionSteps) {}
    mutating func paged(_ page: Page?, for tag: SessionTag, into steps: inout SessionSteps) {}
    mutating func historyTruncated(oldest: SequenceNumber, into steps: inout SessionSteps) {}
    mutating func authenticated(_ result: Result<Identity, CredentialError>, into steps: inout SessionSteps) {}
    mutating func expired(into steps: inout SessionSteps) {}
}
