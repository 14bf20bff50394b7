public import Bytes
public import ChatModel
public import DialectKit
public import Identity
public import JSON

/// One connection of the Conversations protocol: a user in one conversation.
public struct ConversationsSession: DialectSession {
    // The session does not store the whole identity: a node may have many quiet connections, and
    // the token's list of conversations is needed only once.
    let conversation: ConversationKey
    private(set) var me: Principal
    private let isListedInToken: Bool
    /// The position from which the client resumes; used once.
    private var resumePoint: ResumePoint?

    enum ConversationsRequestKind: UInt8 {
        case enter, send, edit, delete, read, typing, fetch, fetchAfter, react, pin, unpin, pins,
            search, receipts

        var changesMessage: Bool { [.edit, .delete, .react, .pin, .unpin].contains(self) }
    }

    init(identity: Identity, conversation: ByteString, from resumePoint: ResumePoint?) {
        self.conversation = ConversationKey(tenant: identity.tenant, id: conversation)
        self.me = Principal(person: Person(of: identity), isAdmin: identity.isAdmin)
        self.isListedInToken = identity.grants(conversation)
        self.resumePoint = resumePoint
    }

    public var principal: Principal? { self.me }
    public var tenant: ByteString { self.conversation.tenant }
    public var homeConversation: ConversationKey? { self.conversation }

    var person: Person { self.me.person }

    public mutating func opened(into steps: inout SessionSteps) {
        let resumePoint = exchange(&self.resumePoint, with: nil)
        if let error = resumePoint?.error {
            steps.reply { $0.append(error: error, action: "connect") }
        }
        let request = JoinRequest(
            principal: self.me, isListedInToken: self.isListedInToken, template: .conversations)
        steps.append(
            .enter(
                self.conversation, request, from: resumePoint?.start ?? .now,
                RequestTag(kind: ConversationsRequestKind.enter.rawValue)))
    }

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        steps.reply {
            $0.append(error: "binary frames are not supported; send JSON text", action: nil)
        }
    }

    public mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) {
        do throws(FieldError) {
            try document.parseFrame(text)
        } catch {
            steps.reply { $0.append(error: error.description, action: nil) }
            return
        }
        guard let action = document.nonNullMember("action", of: document.root, in: text) else {
            steps.reply { $0.append(error: "action: is missing", action: nil) }
            return
        }
        if document.equals(action, "send_message", in: text) {
            self.send(document, text, into: &steps)
        } else if document.equals(action, "heartbeat", in: text)
            || document.equals(action, "heartbeat_ack", in: text)
        {
            return
        } else if let name = document.string(action, in: text) {
            self.execute(ByteString(name), document, text, into: &steps)
        } else {
            steps.reply { $0.append(error: "action: must be a string", action: nil) }
        }
    }

    /// Executes every action except sending. A failure is an error that names the action.
    private func execute(
        _ action: ByteString, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) {
        if let refusal = steps.refusal {
            steps.reply {
                $0.append(error: refusal.reason, action: action) {
                    if let seconds = refusal.retryAfter { $0.append(retryAfter: seconds) }
                }
            }
            return
        }
        let root = document.root
        do throws(FieldError) {
            try self.checkConversation(document, text)
            switch action {
            case "typing":
                let isTyping = try document.requiredBool("is_typing", of: root, in: text)
                self.submit(.typing(isTyping, by: self.person), .typing, into: &steps)
            case "read":
                try self.read(document, text, into: &steps)
            case "fetch_messages":
                try self.fetch(document, text, into: &steps)
            case "edit_message":
                let sequence = try document.requiredMessageID("message_id", of: root, in: text)
                let content = try document.messageContent(of: root, in: text, limits: steps.limits)
                self.submit(
                    .edit(sequence, content: content, by: self.me), .edit, number: sequence,
                    into: &steps)
            case "delete_message":
                let sequence = try document.requiredMessageID("message_id", of: root, in: text)
                self.submit(.delete(sequence, by: self.me), .delete, number: sequence, into: &steps)
            case "receipts": self.submit(.receipts(by: self.person.id), .receipts, into: &steps)
            case "react", "pin", "unpin", "pins", "search":
                try self.executeFeature(action, document, text, into: &steps)
            case "authenticate":
                steps.append(
                    .authenticate(try document.requiredString("token", of: root, in: text)))
            default:
                throw FieldError("action: \"\(action)\" is unknown")
            }
        } catch {
            steps.reply { $0.append(error: error.description, action: action) }
        }
    }

    /// `conversation_id` is optional, but must be the connection's conversation.
    private func checkConversation(_ document: borrowing JSONDocument, _ text: RawSpan)
        throws(FieldError)
    {
        guard let id = try document.optionalString("conversation_id", of: document.root, in: text)
        else { return }
        guard ByteString(id) == self.conversation.id else {
            throw FieldError("conversation_id: is not this connection's conversation")
        }
    }

    func submit(
        _ command: ChatCommand, _ kind: ConversationsRequestKind, number: Int = 0,
        into steps: inout SessionSteps
    ) {
        steps.append(
            .submit(
                command, in: self.conversation, RequestTag(kind: kind.rawValue, number: number))
        )
    }

    /// A failure is a `message.failed` with the `local_id`, so that the client knows which of its
    /// sends failed.
    private func send(
        _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) {
        var localID: ByteString?
        do throws(FieldError) {
            localID = try document.optionalString("local_id", of: document.root, in: text).map {
                ByteString($0)
            }
            if let refusal = steps.refusal {
                steps.reply {
                    $0.append(
                        failedSend: refusal.reason, localID: localID, retryAfter: refusal.retryAfter
                    )
                }
                return
            }
            try self.checkConversation(document, text)
            var clientID: ClientMessageID?
            if let localID {
                clientID = ClientMessageID(given: localID)
                if clientID == nil { throw FieldError(ChatError.clientMessageIDInvalid) }
            }
            let content = try document.messageContent(
                of: document.root, in: text, limits: steps.limits)
            let body = MessageBody(
                author: self.person, clientMessageID: clientID, content: content,
                annotations: try document.messageAnnotations(
                    of: document.root, in: text,
                    replyTo: try document.optionalMessageID(
                        "reply_to", of: document.root, in: text),
                    isAdmin: self.me.isAdmin))
            steps.append(
                .submit(
                    .post(body), in: self.conversation,
                    RequestTag(kind: ConversationsRequestKind.send.rawValue, text: localID)))
        } catch {
            steps.reply { $0.append(failedSend: error.description, localID: localID) }
        }
    }

    /// Malformed ids are reported like ids of missing messages. The valid ids of the same frame
    /// count.
    private func read(
        _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let texts = try document.requiredStrings("message_ids", of: document.root, in: text)
        let sequences = texts.compactMap(MessageID.sequence)
        let malformed = texts.filter { MessageID.sequence($0) == nil }
        if !malformed.isEmpty {
            steps.reply { $0.append(error: Self.unknownIDsError(malformed), action: "read") }
        }
        if !sequences.isEmpty {
            self.submit(.read(sequences, by: self.person.id), .read, into: &steps)
        }
    }

    private static func unknownIDsError(_ ids: [String]) -> String {
        let shownIDs = ids.prefix(20).joined(separator: ", ")
        let rest = ids.count > 20 ? " and \(ids.count - 20) more" : ""
        return "message_ids: there is no message \(shownIDs)\(rest)"
    }

    private func fetch(
        _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let root = document.root
        let limit = try document.optionalInteger("limit", within: 1...100, of: root, in: text) ?? 20
        let before = try document.optionalMessageID("before_id", of: root, in: text)
        let after = try document.optionalMessageID("after_id", of: root, in: text)
        guard before == nil || after == nil else {
            throw FieldError("after_id: cannot be combined with before_id")
        }
        let thread = try document.optionalMessageID("thread", of: root, in: text)
        let range: PageRange =
            after.map { .after($0) } ?? before.map { .before($0) } ?? .newest
        let kind: ConversationsRequestKind = after == nil ? .fetch : .fetchAfter
        let tag = RequestTag(kind: kind.rawValue, number: thread ?? 0)
        if let thread {
            steps.append(
                .readThread(self.conversation, root: thread, range, limit: limit, tag))
        } else {
            steps.append(.readPage(self.conversation, range, limit: limit, tag))
        }
    }

    public mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard let page else {
            steps.reply {
                $0.append(
                    error: "the history cannot be read at the moment; try again",
                    action: "fetch_messages")
            }
            return
        }
        // Newest first, as in the seed's example. Pages after a message are oldest first.
        let isForward = tag.kind == ConversationsRequestKind.fetchAfter.rawValue
        let bytes = steps.limits.pagedMessageBytes
        var count = 0
        steps.reply {
            count = $0.append(
                page: page, isForward: isForward, thread: tag.number == 0 ? nil : tag.number,
                of: self.conversation.id, for: self.person.id, within: bytes)
        }
        steps.shownMessages = page.shown(count, isForward: isForward)
    }

    public func isAnsweredByEvent(_ tag: RequestTag) -> Bool {
        tag.kind == ConversationsRequestKind.send.rawValue
    }

    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool,
        into steps: inout SessionSteps
    ) {
        switch (ConversationsRequestKind(rawValue: tag.kind), answer) {
        case (.enter, .joined(let entered)):
            for change in entered.present { steps.reply { $0.append(userStatus: change) } }
            if entered.isCrowd {
                steps.reply {
                    $0.append(presenceSummary: entered.presentCount, [], in: self.conversation)
                }
            }
        case (.enter, .failed(.unavailable)):
            steps.append(
                .close(1013, "the conversation cannot be entered at the moment; try again"))
        case (.enter, .failed(.damaged)):
            steps.append(.close(1011, "the stored data of this conversation is damaged"))
        case (.enter, .failed(.banned(let notice))):
            self.banned(notice, into: &steps)
        case (.enter, .failed(let error)) where error.isRateLimit:
            steps.append(.close(SessionStep.rateLimitedCode, error.description))
        case (.enter, _):
            steps.append(.close(4004, "access denied"))
        case (.send, .posted(let message, _)):
            // The answer to a send is the message itself, which this connection receives as a
            // subscriber.
            if !isDelivered { steps.reply { $0.append(chatMessage: message) } }
        case (.send, .failed(let error)):
            steps.reply {
                $0.append(
                    failedSend: error.description, localID: tag.text, outcome: error.outcome,
                    retryAfter: error.retryAfter)
            }
        case (.read, .read(let unknown)):
            if !unknown.isEmpty {
                steps.reply {
                    $0.append(error: Self.unknownIDsError(unknown.map(String.init)), action: "read")
                }
            }
        case (.react, .amended(let message)):
            steps.reply { $0.append(reactedTo: message) }
        case (.edit, .amended(let message)), (.delete, .amended(let message)):
            // As after a send. A repair shows only the newest state of the message.
            if !isDelivered { steps.reply { $0.append(amendedMessage: message) } }
        case (.pin, .amended(let message)), (.unpin, .amended(let message)):
            // The answer is the event, which this connection receives as a subscriber.
            if !isDelivered { steps.reply { $0.append(pinOf: message) } }
        case (.pins, .pins(let messages)):
            let bytes = steps.limits.pagedMessageBytes
            steps.reply {
                $0.append(
                    pins: messages.pins(after: tag.number), for: self.person.id, within: bytes)
            }
        case (.receipts, .receipts(let receipts)):
            steps.reply { $0.append(receipts: receipts, of: self.conversation.id) }
        case (let kind, .failed(let error)):
            let outcome = kind?.changesMessage == true ? error.changeOutcome : nil
            steps.reply {
                $0.append(error: error.description, action: kind?.action, outcome: outcome) {
                    if let seconds = error.retryAfter { $0.append(retryAfter: seconds) }
                }
            }
        default:
            break
        }
    }

    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        steps.append(.close(4004, "no member of this conversation any more"))
    }

    public mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps
    ) {
        steps.reply {
            $0.append(error: "history truncated", action: "connect") {
                $0.append(#","oldest_id":""#)
                $0.append(decimal: oldest)
                $0.append(#"""#)
            }
        }
    }

    public mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps
    ) {
        steps.reply {
            $0.append(error: "history reset", action: "connect") {
                $0.append(#","head":""#)
                $0.append(decimal: head)
                $0.append(#"""#)
            }
        }
    }

    public mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) {
        switch result {
        case .success(let identity):
            self.me = Principal(person: self.person, isAdmin: identity.isAdmin)
            steps.reply { $0.append(#"{"type":"authenticated"}"#) }
        case .failure(let error):
            steps.reply { $0.append(error: "token: \(error)", action: "authenticate") }
        }
    }

    public mutating func tokenExpired(into steps: inout SessionSteps) {
        steps.reply { $0.append(error: "token expired", action: nil) }
        steps.append(.close(4003, "token expired"))
    }

    public mutating func banned(_ notice: String, into steps: inout SessionSteps) {
        steps.reply { $0.append(error: notice, action: nil) }
        // The protocol's code for a conversation that the user may not enter.
        steps.append(.close(4004, notice))
    }
}
