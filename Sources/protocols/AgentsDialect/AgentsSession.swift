public import Bytes
public import ChatModel
public import DialectKit
public import Identity
public import JSON

/// One connection of the Agents protocol: an agent with its inbox, and optionally a channel.
public struct AgentsSession: DialectSession {
    public let tenant: ByteString
    private var me: Principal
    private let agent: ByteString
    private let channel: ByteString?
    /// Whether the token lists the channel.
    let isListedInToken: Bool
    /// The position in the channel from which the client resumes; used once.
    private var resumePoint: ResumePoint?
    /// The id of the frame whose new token is being verified.
    private var renewalFrameID: ByteString?

    enum AgentsRequestKind: UInt8 { case inbox, enter, send, direct, statuses }

    init(identity: Identity, channel: ByteString?, from resumePoint: ResumePoint?) {
        self.tenant = identity.tenant
        self.agent = identity.agent
        self.channel = channel
        self.isListedInToken = channel.map { identity.grants($0) } ?? false
        self.me = Principal(person: Person(of: identity), isAdmin: identity.isAdmin)
        self.resumePoint = resumePoint
    }

    public var principal: Principal? { self.me }
    private var inbox: ConversationKey { .inbox(ofAgent: self.agent, in: self.tenant) }
    private var channelKey: ConversationKey? {
        self.channel.map { ConversationKey(tenant: self.tenant, id: $0) }
    }
    public var homeConversation: ConversationKey? { self.channelKey ?? self.inbox }

    public mutating func opened(into steps: inout SessionSteps) {
        let inbox = JoinRequest(principal: self.me, isListedInToken: true, template: .inbox)
        steps.append(
            .enter(
                self.inbox, inbox, from: .unread, RequestTag(kind: AgentsRequestKind.inbox.rawValue)
            ))
        guard let channel = self.channelKey else { return }
        let resumePoint = exchange(&self.resumePoint, with: nil)
        if let error = resumePoint?.error { self.fail(error, into: &steps) }
        let request = JoinRequest(
            principal: self.me, isListedInToken: self.isListedInToken, template: .agents)
        steps.append(
            .enter(
                channel, request, from: resumePoint?.start ?? .now,
                RequestTag(kind: AgentsRequestKind.enter.rawValue)))
    }

    // MARK: Requests of the client

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        self.fail("binary frames are not supported; send JSON text", into: &steps)
    }

    private func fail(
        _ sentence: String, id: ByteString? = nil, outcome: SendOutcome? = nil,
        retryAfter: Double? = nil, into steps: inout SessionSteps
    ) {
        let now = steps.now
        steps.reply {
            $0.append(error: sentence, id: id, outcome: outcome, at: now) {
                if let retryAfter { $0.append(retryAfter: retryAfter) }
            }
        }
    }

    public mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) {
        var id: ByteString?
        var outcome: SendOutcome?
        do throws(FieldError) {
            try document.parseFrame(text)
            let root = document.root
            // Every error of a send has an outcome, so the type is read first.
            if let type = document.nonNullMember("type", of: root, in: text),
                document.equals(type, "message", in: text)
            {
                outcome = .refused
            }
            id = try document.optionalString("id", of: root, in: text).map { ByteString($0) }
            let type = try document.requiredString("type", of: root, in: text)
            if let refusal = steps.refusal {
                steps.reply {
                    $0.append(error: refusal.reason, id: id, outcome: outcome, at: now) {
                        if let seconds = refusal.retryAfter { $0.append(retryAfter: seconds) }
                    }
                }
                return
            }
            switch type {
            case "message": try self.send(id, document, text, into: &steps)
            case "status_query": try self.requestStatuses(id, into: &steps)
            case "authenticate":
                steps.append(
                    .authenticate(try document.requiredString("token", of: root, in: text)))
                self.renewalFrameID = id
            default: throw FieldError("type: \"\(type)\" is unknown")
            }
        } catch {
            self.fail(error.description, id: id, outcome: outcome, into: &steps)
        }
    }

    private func send(
        _ id: ByteString?, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) throws(FieldError) {
        let root = document.root
        var clientID: ClientMessageID?
        if let id {
            clientID = ClientMessageID(given: id)
            if clientID == nil {
                throw FieldError("id: must have 1 to 128 bytes and no control characters")
            }
        }
        try self.checkOptionalField("tenant_id", self.tenant, document, text)
        try self.checkOptionalField("agent_id", self.agent, document, text)
        let to = try document.optionalString("to", of: root, in: text)
        if to == nil, let channel = self.channel {
            try self.checkOptionalField("channel_id", channel, document, text)
        }
        let content = try document.messageContent(of: root, in: text, limits: steps.limits)
        let metadata = try self.metadata(document, text, limits: steps.limits)
        let body = MessageBody(
            author: self.me.person, clientMessageID: clientID, content: content, metadata: metadata)
        if let to {
            guard IdentityRule.name.allows(to) else {
                throw FieldError("to: must be \(IdentityRule.name.text)")
            }
            guard !self.me.person.id.isAnonymous else {
                throw FieldError("to: a guest writes only to its channel")
            }
            // Guests of one id would share an inbox.
            guard !to.utf8.starts(with: UserID.guestPrefix.utf8) else {
                throw FieldError("to: is a guest, and guests have no inbox; write to the channel")
            }
            let inbox = ConversationKey.inbox(ofAgent: ByteString(to), in: self.tenant)
            steps.append(
                .submit(
                    .post(body), in: inbox,
                    RequestTag(kind: AgentsRequestKind.direct.rawValue, text: id)))
        } else if let channel = self.channelKey {
            steps.append(
                .submit(
                    .post(body), in: channel,
                    RequestTag(kind: AgentsRequestKind.send.rawValue, text: id)))
        } else {
            throw FieldError("to: is missing, and the connection has no channel")
        }
    }

    /// The server adds these fields itself. A client may send them, but only with the same value.
    private func checkOptionalField(
        _ name: StaticString, _ own: ByteString, _ document: borrowing JSONDocument, _ text: RawSpan
    ) throws(FieldError) {
        guard let given = try document.optionalString(name, of: document.root, in: text) else {
            return
        }
        guard ByteString(given) == own else {
            throw FieldError("\(name): is not this connection's")
        }
    }

    /// The metadata object, stored byte for byte.
    private func metadata(
        _ document: borrowing JSONDocument, _ text: RawSpan, limits: Limits
    ) throws(FieldError) -> [UInt8]? {
        guard let value = document.nonNullMember("metadata", of: document.root, in: text) else {
            return nil
        }
        guard document.kind(of: value) == .object else {
            throw FieldError("metadata: must be an object")
        }
        let range = document.range(of: value)
        guard range.count <= limits.metadataBytes else {
            throw FieldError(.metadataTooLong(limit: limits.metadataBytes))
        }
        return text.extracting(range).withUnsafeBytes { Array($0) }
    }

    private func requestStatuses(_ id: ByteString?, into steps: inout SessionSteps)
        throws(FieldError)
    {
        guard let channel = self.channelKey else {
            throw FieldError("type: status_query needs a connection with a channel")
        }
        steps.append(
            .submit(
                .describe(by: self.me), in: channel,
                RequestTag(kind: AgentsRequestKind.statuses.rawValue, text: id)))
    }

    // MARK: Answers

    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool,
        into steps: inout SessionSteps
    ) {
        let now = steps.now
        switch (AgentsRequestKind(rawValue: tag.kind), answer) {
        case (.enter, .joined(let entered)):
            guard let channel = self.channel else { return }
            for change in entered.present { steps.reply { $0.append(status: change) } }
            if entered.isCrowd {
                steps.reply {
                    $0.append(presenceSummary: entered.presentCount, [], in: channel)
                }
            }
        case (.inbox, .failed), (.enter, .failed(.unavailable)):
            steps.append(.close(1013, "the channel cannot be entered at the moment; try again"))
        case (.enter, .failed(.damaged)):
            self.fail("channel_id: \(ChatError.damaged)", into: &steps)
            steps.append(.close(1011, "the stored data of this conversation is damaged"))
        case (.enter, .failed(.banned(let notice))):
            self.banned(notice, into: &steps)
        case (.enter, .failed(let error)) where error.isRateLimit:
            steps.append(.close(SessionStep.rateLimitedCode, error.description))
        case (.enter, .failed(let error)):
            self.fail(error.description, into: &steps)
            steps.append(.close(1008, "access denied"))
        case (.send, .posted(let message, _)):
            steps.reply { $0.append(acknowledged: message, hasNumber: true) }
        case (.direct, .posted(let message, _)):
            steps.reply { $0.append(acknowledged: message, hasNumber: false) }
        case (.send, .failed(let error)), (.direct, .failed(let error)):
            self.fail(
                error.description, id: tag.text, outcome: error.outcome,
                retryAfter: error.retryAfter, into: &steps)
        case (.statuses, .failed(let error)):
            self.fail(
                error.description, id: tag.text, retryAfter: error.retryAfter, into: &steps)
        case (.statuses, .described(let description)):
            guard let channel = self.channel else { return }
            let bytes = steps.limits.outboundBytes
            steps.reply {
                $0.append(statusListOf: description, in: channel, at: now, within: bytes)
            }
        default:
            break
        }
    }

    public mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps
    ) {
        steps.reply { $0.append(directMessage: message, to: self.agent, in: self.tenant) }
    }

    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        self.fail(ChatError.notAMember.description, into: &steps)
        steps.append(.close(1008, "no member of the channel any more"))
    }

    public mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps
    ) {
        // No message id, because the client would take it for one of the channel's.
        guard !conversation.isInbox else {
            return self.fail(
                "direct messages truncated: the oldest are not kept any more", into: &steps)
        }
        let now = steps.now
        steps.reply {
            $0.append(error: "history truncated", at: now) {
                $0.append(#","oldest_id":"#)
                $0.append(decimal: oldest)
            }
        }
    }

    public mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps
    ) {
        let now = steps.now
        steps.reply {
            $0.append(error: "history reset", at: now) {
                $0.append(#","head":"#)
                $0.append(decimal: head)
            }
        }
    }

    // MARK: Tokens

    public mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) {
        let now = steps.now
        switch result {
        case .success(let identity):
            self.me = Principal(person: self.me.person, isAdmin: identity.isAdmin)
            steps.reply {
                $0.append(#"{"type":"authenticated","agent_id":"#)
                $0.append(jsonString: self.agent)
                $0.append(#","timestamp":""#)
                $0.append(timestamp: now)
                $0.append(#""}"#)
            }
        case .failure(let error):
            self.fail("token: \(error)", id: self.renewalFrameID, into: &steps)
        }
    }

    public mutating func tokenExpired(into steps: inout SessionSteps) {
        self.fail("token expired", into: &steps)
        steps.append(.close(4401, "token expired"))
    }

    public mutating func banned(_ notice: String, into steps: inout SessionSteps) {
        self.fail(notice, into: &steps)
        steps.append(.close(SessionStep.bannedCode, notice))
    }
}
