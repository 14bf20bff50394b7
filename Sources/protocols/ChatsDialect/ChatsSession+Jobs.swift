import Bytes
public import ChatModel
public import DialectKit
import Identity
import JSON

/// Requests that take several steps.
extension ChatsSession {
    /// The maximum number of participants per chat, in a list and in the details of one chat.
    private static let listedParticipantLimit = 50
    private static let detailedParticipantLimit = 1000
    /// The count of unread messages stops at this number.
    private static let unreadLimit = 1000
    /// The number of listed chats whose details are requested at once.
    private static let describeBatchSize = 100
    /// The maximum number of ids that one request skips because token-created chats have them. The
    /// counter never goes back, so a retry continues after them.
    private static let idAttemptLimit = 10_000

    /// - Parameter requestedAt: the millisecond at which the client sent the request.
    mutating func begin(
        _ request: ChatsRequest, requestedAt: Int64, into steps: inout SessionSteps
    ) {
        switch request {
        case .chats:
            self.job = ChatsJob(request, byteLimit: steps.limits.outboundBytes)
            self.fetchMemberships(after: nil, into: &steps)
        case .create:
            self.job = ChatsJob(request)
            steps.append(
                .fetch(
                    .nextNumber(tenant: self.tenant),
                    RequestTag(kind: ChatsRequestKind.nextID.rawValue)))
        case .join(let chat, _):
            self.job = ChatsJob(request)
            let isListedInToken = self.subscriptions.joinRequest(for: chat).isListedInToken
            self.describe(
                chat, .none, readAccess: isListedInToken ? .anyone : .anyoneIfOpen, into: &steps)
        case .details(let chat):
            self.job = ChatsJob(request, byteLimit: steps.limits.outboundBytes)
            self.describe(chat, .shown(limit: Self.detailedParticipantLimit), into: &steps)
        case .messages(let chat, _, _, _):
            self.job = ChatsJob(request, byteLimit: steps.limits.pageBytes)
            self.describe(chat, .shownWithReaders(limit: 0), into: &steps)
        case .post(let chat, _), .markRead(let chat, _):
            guard !self.subscriptions.contains(chat) else {
                return self.perform(request, requestedAt: requestedAt, into: &steps)
            }
            self.job = ChatsJob(request, requestedAt: requestedAt)
            self.describe(chat, .none, into: &steps)
        case .authenticate:
            break
        }
    }

    private func describe(
        _ chat: ByteString, _ members: MemberSelection, readAccess: ReadAccess = .membersOnly,
        into steps: inout SessionSteps
    ) {
        steps.append(
            .submit(
                .describe(
                    by: self.subscriptions.principal, readAccess: readAccess, members: members),
                in: self.subscriptions.key(chat),
                RequestTag(
                    kind: ChatsRequestKind.describe.rawValue, conversation: chat,
                    requestedAt: self.job?.requestedAt ?? 0)))
    }

    /// Performs a request in a chat to which the connection is subscribed.
    private mutating func perform(
        _ request: ChatsRequest, requestedAt: Int64, into steps: inout SessionSteps
    ) {
        switch request {
        case .post(let chat, let post):
            let body = MessageBody(
                author: self.person,
                clientMessageID: post.localID.flatMap { ClientMessageID(given: $0) },
                content: post.text,
                metadata: post.isRead ? ReadMarks.sentAsReadMetadata : nil)
            self.pendingPosts = (chat, (self.pendingPosts?.count ?? 0) + 1)
            let tag = RequestTag(
                kind: ChatsRequestKind.post.rawValue, text: post.localID, conversation: chat,
                requestedAt: requestedAt)
            steps.append(.submit(.post(body), in: self.subscriptions.key(chat), tag))
        case .markRead(let chat, let sequence):
            self.job = ChatsJob(request)
            self.markRead(chat, through: sequence, into: &steps)
        default:
            break
        }
    }

    private func markRead(
        _ chat: ByteString, through sequence: SequenceNumber, into steps: inout SessionSteps
    ) {
        let tag = RequestTag(kind: ChatsRequestKind.markRead.rawValue)
        steps.append(
            .submit(
                .readThrough(sequence, by: self.person.id), in: self.subscriptions.key(chat), tag))
    }

    // MARK: End of a job

    private mutating func finish(
        into steps: inout SessionSteps, _ write: (inout ByteBuffer) -> Void
    ) {
        self.job = nil
        steps.reply(write)
        self.resumeQueue(into: &steps)
    }

    mutating func fail(
        _ sentence: String, retryAfter: Double? = nil, into steps: inout SessionSteps
    ) {
        let request = self.job?.request
        self.finish(into: &steps) {
            $0.append(
                error: sentence, request: request?.type, localID: request?.localID,
                retryAfter: retryAfter)
        }
    }

    mutating func fail(_ error: ChatError, into steps: inout SessionSteps) {
        self.fail(
            ChatsRequest.errorText(error, chatField: self.job?.request.chatField ?? "chat"),
            retryAfter: error.retryAfter, into: &steps)
    }

    /// Looks up the users' numbers. This is the last step of a job.
    mutating func lookUpNumbers(
        _ users: some Sequence<UserID>, into steps: inout SessionSteps
    ) {
        self.job?.requireNumbers(users)
        self.lookUpRemainingNumbers(into: &steps)
    }

    mutating func lookUpRemainingNumbers(into steps: inout SessionSteps) {
        guard let job = self.job else { return }
        guard job.usersWithoutNumber.isEmpty else {
            let users = Array(job.usersWithoutNumber.prefix(StoreRequest.usersPerRequestLimit))
            steps.append(
                .fetch(
                    .numbers(of: users, tenant: self.tenant),
                    RequestTag(kind: ChatsRequestKind.numbers.rawValue)))
            return
        }
        switch job.request {
        case .chats:
            let byteLimit = steps.limits.outboundBytes
            self.finish(into: &steps) { $0.append(list: job, byteLimit: byteLimit) }
        case .details: self.finish(into: &steps) { $0.append(detailsOf: job) }
        case .messages(let chat, _, _, _):
            let viewer = self.person.id
            let bytes = steps.limits.pagedMessageBytes
            self.finish(into: &steps) {
                $0.append(messagesOf: job, in: chat, for: viewer, within: bytes)
            }
        default: break
        }
    }

    // MARK: Lists

    private func fetchMemberships(after cursor: ByteString?, into steps: inout SessionSteps) {
        steps.fetchMemberships(
            of: self.person.id, in: self.tenant, after: cursor, unreadLimit: Self.unreadLimit,
            RequestTag(kind: ChatsRequestKind.list.rawValue))
    }

    mutating func addMemberships(_ page: MembershipPage, into steps: inout SessionSteps) {
        self.job?.list.add(page)
        if let next = page.next { return self.fetchMemberships(after: next, into: &steps) }
        self.describeNextBatch(into: &steps)
    }

    /// Requests the participants of the next batch of chats.
    private mutating func describeNextBatch(into steps: inout SessionSteps) {
        guard let job = self.job else { return }
        // No chat is described that the answer would not have.
        let isFull = job.describedBytes >= steps.limits.outboundBytes
        let next = job.list.memberships[job.describeCount...]
            .prefix(isFull ? 0 : Self.describeBatchSize)
        guard !next.isEmpty else {
            let users =
                job.describedChats.values.flatMap { $0.members.map(\.user) }
                + job.list.memberships.compactMap { $0.lastMessage?.body.author.id }
            return self.lookUpNumbers(users, into: &steps)
        }
        self.job?.describeCount += next.count
        self.job?.pendingDescriptions = next.count
        let members = MemberSelection.shownWithReaders(limit: Self.listedParticipantLimit)
        for listed in next { self.describe(listed.key.id, members, into: &steps) }
    }

    // MARK: Answers

    public func isAnsweredByEvent(_ tag: RequestTag) -> Bool {
        tag.kind == ChatsRequestKind.post.rawValue
    }

    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool,
        into steps: inout SessionSteps
    ) {
        guard !self.subscriptions.consume(answer, for: tag, into: &steps) else { return }
        switch ChatsRequestKind(rawValue: tag.kind) {
        case .describe:
            guard let chat = tag.conversation else { return }
            self.described(chat, answer, into: &steps)
        case .enter:
            self.entered(answer, into: &steps)
        case .create:
            self.created(answer, tag, into: &steps)
        case .post:
            self.posted(answer, tag, isDelivered: isDelivered, into: &steps)
            if let pendingPosts = self.pendingPosts {
                self.pendingPosts =
                    pendingPosts.count > 1 ? (pendingPosts.chat, pendingPosts.count - 1) : nil
            }
            self.resumeQueue(into: &steps)
        case .markRead:
            switch answer {
            case .read(let unknown) where !unknown.isEmpty:
                self.fail(.noSuchMessage(unknown[0]), into: &steps)
            case .failed(let error):
                self.fail(error, into: &steps)
            default:
                // All subscribers have been notified, including this connection.
                let user = self.user
                if case .join(let chat, let lastRead)? = self.job?.request {
                    return self.finish(into: &steps) {
                        $0.append(joined: user, chat, lastRead: lastRead)
                    }
                }
                self.job = nil
                self.resumeQueue(into: &steps)
            }
        case .ownNumber, .list, .page, .numbers, .nextID, nil:
            break
        }
    }

    private func posted(
        _ answer: ChatAnswer, _ tag: RequestTag, isDelivered: Bool, into steps: inout SessionSteps
    ) {
        switch answer {
        case .posted(let message, _) where !isDelivered:
            // A repeated send: the first message was delivered before.
            guard let chat = tag.conversation else { return }
            steps.reply {
                $0.append(created: message, by: self.ownNumber, in: chat, localID: tag.text)
            }
        case .failed(let error):
            steps.reply {
                $0.append(
                    error: ChatsRequest.errorText(error), request: "newMessage", localID: tag.text,
                    outcome: error.outcome, retryAfter: error.retryAfter)
            }
        default:
            break
        }
    }

    private mutating func described(
        _ chat: ByteString, _ answer: ChatAnswer, into steps: inout SessionSteps
    ) {
        guard let job = self.job else { return }
        if case .chats = job.request { return self.describedListedChat(chat, answer, into: &steps) }
        switch (job.request, answer) {
        case (.join(_, let lastRead), .failed(.noSuchConversation)):
            // A chat that the token lists is created by joining it.
            guard self.subscriptions.joinRequest(for: chat).isListedInToken else {
                return self.fail(.noSuchConversation, into: &steps)
            }
            guard (lastRead ?? 0) == 0 else {
                return self.fail(.noSuchMessage(lastRead ?? 0), into: &steps)
            }
            self.enter(chat, into: &steps)
        case (_, .failed(let error)):
            self.fail(error, into: &steps)
        case (.join(_, let lastRead), .described(let description)):
            guard (lastRead ?? 0) <= description.head else {
                return self.fail(.noSuchMessage(lastRead ?? 0), into: &steps)
            }
            self.enter(chat, into: &steps)
        case (.details, .described(let description)):
            self.job?.chat = ChatsChat(id: chat, description, limit: Self.detailedParticipantLimit)
            self.lookUpNumbers(self.job?.chat?.members.map(\.user) ?? [], into: &steps)
        case (.messages(_, _, _, let before), .described(let description)):
            self.job?.chat = ChatsChat(id: chat, description, limit: 0)
            self.readPage(chat, before.map { .before($0) } ?? .newest, into: &steps)
        case (_, .described):
            self.enter(chat, into: &steps)
        default:
            break
        }
    }

    private mutating func describedListedChat(
        _ chat: ByteString, _ answer: ChatAnswer, into steps: inout SessionSteps
    ) {
        switch answer {
        case .described(let description):
            self.job?.describedChats[chat] = ChatsChat(
                id: chat, description, limit: Self.listedParticipantLimit)
        case .failed(.unavailable):
            return self.fail("the chats cannot be listed at the moment; try again", into: &steps)
        default:
            break  // The user has left it in the meantime.
        }
        self.job?.pendingDescriptions -= 1
        if self.job?.pendingDescriptions == 0 { self.describeNextBatch(into: &steps) }
    }

    private func enter(_ chat: ByteString, into steps: inout SessionSteps) {
        var marksHistoryRead = false
        if case .join(_, nil)? = self.job?.request { marksHistoryRead = true }
        let isListedInToken = self.subscriptions.joinRequest(for: chat).isListedInToken
        let joinRequest = JoinRequest(
            principal: self.subscriptions.principal, isListedInToken: isListedInToken,
            template: .chats,
            marksHistoryRead: marksHistoryRead)
        steps.append(
            .enter(
                self.subscriptions.key(chat), joinRequest, from: .now,
                RequestTag(
                    kind: ChatsRequestKind.enter.rawValue, conversation: chat,
                    requestedAt: self.job?.requestedAt ?? 0)))
    }

    private mutating func entered(_ answer: ChatAnswer, into steps: inout SessionSteps) {
        guard let request = self.job?.request else { return }
        guard case .joined(let entered) = answer else {
            if case .failed(let error) = answer { self.fail(error, into: &steps) }
            return
        }
        switch request {
        case .join(let chat, let lastRead):
            self.subscriptions.insert(chat)
            if entered.isNewMember {
                let notice = InboxNotice(
                    chat, from: .init(head: entered.head, revision: entered.revision))
                self.subscriptions.notifyOtherConnections(notice, into: &steps)
            }
            let user = self.user
            guard let lastRead, lastRead > 0 else {
                return self.finish(into: &steps) {
                    $0.append(joined: user, chat, lastRead: lastRead)
                }
            }
            // The join is answered after the read cursor is set, because a list counts unread
            // messages from there.
            self.markRead(chat, through: lastRead, into: &steps)
        case .post(let chat, _), .markRead(let chat, _):
            self.subscriptions.insert(chat)
            let requestedAt = self.job?.requestedAt ?? 0
            self.job = nil
            self.perform(request, requestedAt: requestedAt, into: &steps)
            self.resumeQueue(into: &steps)
        default:
            break
        }
    }

    private mutating func created(
        _ answer: ChatAnswer, _ tag: RequestTag, into steps: inout SessionSteps
    ) {
        switch answer {
        case .described(let description):
            guard let id = tag.conversation else { return }
            let chat = ChatsChat(id: id, description, limit: 0)
            if !description.members.isEmpty {
                self.subscriptions.enter(id, from: .after(0), into: &steps)
                self.subscriptions.notifyOtherConnections(
                    InboxNotice(id, from: .start), into: &steps)
            }
            self.finish(into: &steps) {
                $0.append(#"{"type":"emptyChatCreated","data":"#)
                $0.append(fieldsOf: chat, [:])
                $0.append("}}")
            }
        case .failed(.conversationExists) where (self.job?.takenIDCount ?? 0) < Self.idAttemptLimit:
            // A token has created a chat with this number.
            self.job?.takenIDCount += 1
            steps.append(
                .fetch(
                    .nextNumber(tenant: self.tenant),
                    RequestTag(kind: ChatsRequestKind.nextID.rawValue)))
        case .failed(.conversationExists):
            self.fail(
                "no free id was found in \(Self.idAttemptLimit) attempts; try again",
                into: &steps)
        case .failed(let error):
            self.fail(error, into: &steps)
        default:
            break
        }
    }
}
