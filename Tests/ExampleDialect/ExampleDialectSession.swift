import Bytes
import ChatModel
import DialectKit
import Identity
import JSON

/// One connection: a user in one conversation.
struct ExampleDialectSession: DialectSession {
    private enum ExampleRequestKind: UInt8 { case enter, post }

    private let conversation: ConversationKey
    private let me: Principal
    private let isListedInToken: Bool
    private let start: StartPosition

    init(_ identity: Identity, in conversation: ByteString, from resumePoint: ResumePoint?) {
        self.conversation = ConversationKey(tenant: identity.tenant, id: conversation)
        self.me = Principal(person: Person(of: identity), isAdmin: identity.isAdmin)
        self.isListedInToken = identity.grants(conversation)
        self.start = resumePoint?.start ?? .now
    }

    var principal: Principal? { self.me }
    var tenant: ByteString { self.conversation.tenant }
    var homeConversation: ConversationKey? { self.conversation }

    mutating func opened(into steps: inout SessionSteps) {
        let request = JoinRequest(
            principal: self.me, isListedInToken: self.isListedInToken, template: .example)
        steps.append(
            .enter(
                self.conversation, request, from: self.start,
                RequestTag(kind: ExampleRequestKind.enter.rawValue)))
    }

    mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) {
        var id: ByteString?
        do throws(FieldError) {
            try document.parseFrame(text)
            id = try document.optionalString("id", of: document.root, in: text).map {
                ByteString($0)
            }
            if let refusal = steps.refusal { throw FieldError(refusal.reason) }
            let clientID = id.flatMap { ClientMessageID(given: $0) }
            if id != nil, clientID == nil { throw FieldError(ChatError.clientMessageIDInvalid) }
            let content = try document.messageContent(
                of: document.root, in: text, limits: steps.limits)
            let body = MessageBody(
                author: self.me.person, clientMessageID: clientID, content: content)
            steps.append(
                .submit(
                    .post(body), in: self.conversation,
                    RequestTag(kind: ExampleRequestKind.post.rawValue, text: id)))
        } catch {
            steps.reply { $0.append(exampleError: error.description, id: id) }
        }
    }

    mutating func receivedBinary(into steps: inout SessionSteps) {
        steps.reply { $0.append(exampleError: "binary frames are not accepted", id: nil) }
    }

    mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool, into steps: inout SessionSteps
    ) {
        switch (ExampleRequestKind(rawValue: tag.kind), answer) {
        case (.enter, .joined(let result)): steps.reply("joined", result.head)
        case (.enter, .failed(.unavailable)): steps.append(.close(1013, "try again"))
        case (.enter, _): steps.append(.close(4404, "access denied"))
        case (.post, .posted(let message, _)) where !isDelivered:
            steps.reply { $0.append(exampleMessage: message) }
        case (.post, .failed(let error)):
            steps.reply { $0.append(exampleError: error.description, id: tag.text) }
        default: break
        }
    }

    mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps
    ) { steps.reply("truncated", oldest) }

    mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps
    ) { steps.reply("reset", head) }

    mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) { steps.append(.close(4404, "no member of this conversation any more")) }

    /// The protocol has no renewal of tokens.
    mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) {}

    mutating func tokenExpired(into steps: inout SessionSteps) {
        steps.append(.close(4401, "token expired"))
    }
}

extension SessionSteps {
    /// Replies with one number.
    fileprivate mutating func reply(_ name: StaticString, _ number: Int) {
        self.reply {
            $0.append(#"{""#)
            $0.append(name)
            $0.append(#"":"#)
            $0.append(decimal: number)
            $0.append("}")
        }
    }
}
