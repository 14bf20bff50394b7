import Bytes
public import ChatModel
public import DialectKit

/// Answers of the chat and the store.
extension PetsSession {
    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool,
        into steps: inout SessionSteps
    ) {
        if self.subscriptions.consume(answer, for: tag, into: &steps) {
            if let conversation = tag.conversation {
                self.entryCompleted(conversation, answer, into: &steps)
            }
            return
        }
        switch (PetsRequestKind(rawValue: tag.kind), answer) {
        case (.message, .posted(let message, _)):
            guard let conversation = tag.conversation else { return }
            steps.reply { $0.append(sent: message, in: conversation, localID: tag.text) }
        case (.create, .described):
            guard let conversation = tag.conversation,
                let created = self.createdConversations[conversation]
            else { return }
            self.notifyMembers(of: conversation, created, into: &steps)
            self.subscriptions.enter(conversation, from: .after(0), into: &steps)
        case (.create, .failed(let error)):
            if let conversation = tag.conversation { self.createdConversations[conversation] = nil }
            steps.reply {
                $0.append(
                    error: error.description, event: "new_conversation",
                    retryAfter: error.retryAfter)
            }
        case (let kind, .failed(let error)):
            steps.reply {
                $0.append(
                    error: Self.errorText(error), event: kind?.event,
                    localID: kind == .message ? tag.text : nil,
                    outcome: error.outcome, retryAfter: error.retryAfter)
            }
        default:
            break
        }
    }

    /// The text of an error, with the name of the field that it concerns.
    private static func errorText(_ error: ChatError) -> String {
        switch error {
        case .noSuchConversation, .notAMember, .accessDenied: "conversation_id: \(error)"
        default: error.description
        }
    }

    /// Notifies the members of a new conversation through their inboxes. The creator's other
    /// connections are notified too.
    private func notifyMembers(
        of conversation: ByteString, _ created: CreatedConversation, into steps: inout SessionSteps
    ) {
        // The conversation's id is the message id, so retries notify only once.
        let body = InboxNotice(conversation, from: .start, fields: created.fields)
            .body(by: self.person, id: ClientMessageID(given: conversation))
        for member in Set(created.membersToNotify) {
            steps.append(.submit(.post(body), in: .inbox(of: member, in: self.tenant), nil))
        }
    }

    public mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps
    ) {
        guard let notice = InboxNotice(message.body),
            !self.subscriptions.contains(notice.conversation),
            self.createdConversations[notice.conversation] == nil,
            self.subscriptions.enter(notice, into: &steps)
        else { return }
        if notice.fields.byteCount > 0 {
            self.createdConversations[notice.conversation] = CreatedConversation(
                fields: notice.fields, creator: message.body.author.id)
        }
    }

    /// Notifies the client of a conversation only after the connection has subscribed, so that the
    /// client misses no message.
    private mutating func entryCompleted(
        _ conversation: ByteString, _ answer: ChatAnswer, into steps: inout SessionSteps
    ) {
        let created = self.createdConversations.removeValue(forKey: conversation)
        let requests = self.requestsAwaitingEntry.removeValue(forKey: conversation) ?? []
        if case .failed(let error) = answer {
            // None of these requests was sent.
            for request in requests {
                steps.reply {
                    $0.append(
                        error: Self.errorText(error), event: request.event,
                        localID: request.localID, retryAfter: error.retryAfter)
                }
            }
            return
        }
        if let created {
            steps.reply {
                $0.append(created: conversation, created.fields, client: created.creator)
            }
        }
        for request in requests { self.perform(request, in: conversation, into: &steps) }
    }

    public mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard let page, let conversation = tag.conversation else {
            steps.reply {
                $0.append(
                    error: "the history cannot be read at the moment; try again", event: "history")
            }
            return
        }
        let bytes = steps.limits.pagedMessageBytes
        let isForward = tag.number == Self.forwardHistory
        var count = 0
        steps.reply {
            count = $0.append(
                history: page, isForward: isForward, of: conversation, for: self.person.id,
                within: bytes)
        }
        steps.shownMessages = page.shown(count, isForward: isForward)
    }

    public mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard !self.subscriptions.consume(answer, for: tag, into: &steps) else { return }
        guard case .memberships(let page)? = answer else {
            self.listedConversations = MembershipList()
            steps.reply {
                $0.append(
                    error: "the conversations cannot be listed at the moment; try again",
                    event: "conversations")
            }
            return
        }
        // Ended conversations are not listed.
        self.listedConversations.add(page) { $0.record.endedAt == nil }
        if let next = page.next { return self.fetchConversations(after: next, into: &steps) }
        steps.reply { $0.append(conversations: self.listedConversations) }
        self.listedConversations = MembershipList()
    }

    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        self.subscriptions.remove(conversation.id)
    }
}

extension PetsSession.PetsRequestKind {
    /// The name of the requested event in the protocol.
    var event: ByteString? {
        switch self {
        case .list: "conversations"
        case .message: "message"
        case .history: "history"
        case .create: "new_conversation"
        case .broadcast: "broadcast"
        }
    }
}
