import Bytes
public import ChatModel
public import DialectKit
import Identity
import JSON

/// How requests are answered that take several questions.
extension ChatsSession {
    /// A list shows so many participants of each chat, and the details of one chat so many.
    private static let listedParticipantLimit = 100
    private static let detailedParticipantLimit = 10_000
    /// Unread messages are counted to here.
    private static let unreadLimit = 1000
    /// So many of a list are asked about at a time.
    private static let describeBatchSize = 100
    private static let pageSize = 200
    /// So many ids that tokens have taken are passed over for one chat. The counter does not go back: who asks again goes on behind them.
    private static let idAttemptLimit = 10_000

    /// - Parameter since: the millisecond at which the client sent it.
    mutating func begin(
        _ request: ChatsRequest, requestedAt since: Int64, into steps: inout SessionSteps
    ) {
        switch request {
        case .chats:
            self.job = ChatsJob(request)
            self.fetchMemberships(after: nil, into: &steps)
        case .create:
            self.job = ChatsJob(request)
            steps.append(
                .fetch(
                    .nextNumber(tenant: self.tenant),
                    RequestTag(kind: ChatsRequestKind.nextID.rawValue)))
        case .join(let chat, _):
            self.job = ChatsJob(request)
            let isListed = self.subscriptions.joinRequest(for: chat).isListedInToken
            self.describe(chat, readAccess: isListed ? .anyone : .anyoneIfOpen, into: &steps)
        case .details(let chat), .messages(let chat, _, _):
            self.job = ChatsJob(request)
            self.describe(chat, into: &steps)
        case .post(let chat, _), .markRead(let chat, _):
            guard !self.subscriptions.contains(chat) else {
                return self.perform(request, requestedAt: since, into: &steps)
            }
            self.job = ChatsJob(request, requestedAt: since)
            self.describe(chat, into: &steps)
        case .authenticate:
            break
        }
    }

    private func describe(
        _ chat: ByteString, readAccess guests: ReadAccess = .membersOnly,
        into steps: inout SessionSteps
    ) {
        steps.append(
            .submit(
                .describe(by: self.subscriptions.actor, readAccess: guests),
                in: self.subscriptions.key(chat),
                RequestTag(
                    kind: ChatsRequestKind.describe.rawValue, conversation: chat,
                    requestedAt: self.job?.requestedAt ?? 0)))
    }

    /// What is done in a chat that the connection hears.
    private mutating func perform(
        _ request: ChatsRequest, requestedAt since: Int64, into steps: inout SessionSteps
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
                requestedAt: since)
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

    // MARK: Ends

    private mutating func finish(
        into steps: inout SessionSteps, _ write: (inout ByteBuffer) -> Void
    ) {
        self.job = nil
        steps.reply(write)
        self.resumeQueue(into: &steps)
    }

    private mutating func fail(_ sentence: String, into steps: inout SessionSteps) {
        let request = self.job?.request
        self.finish(into: &steps) {
            $0.append(error: sentence, request: request?.type, localID: request?.localID)
        }
    }

    private mutating func fail(_ error: ChatError, into steps: inout SessionSteps) {
        self.fail(
            ChatsRequest.errorText(error, chatField: self.job?.request.chatField ?? "chat"),
            into: &steps)
    }

    /// Everything has been asked but users' numbers.
    private mutating func lookUpNumbers(
        _ users: some Sequence<UserID>, into steps: inout SessionSteps
    ) {
        self.job?.requireNumbers(users)
        self.lookUpRemainingNumbers(into: &steps)
    }

    private mutating func lookUpRemainingNumbers(into steps: inout SessionSteps) {
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
        case .chats: self.finish(into: &steps) { $0.append(list: job) }
        case .details: self.finish(into: &steps) { $0.append(detailsOf: job) }
        case .messages(let chat, _, _):
            self.finish(into: &steps) { $0.append(messagesOf: job, in: chat) }
        default: break
        }
    }

    // MARK: Lists

    private func fetchMemberships(after place: ByteString?, into steps: inout SessionSteps) {
        let request = StoreRequest.memberships(
            of: self.person.id, tenant: self.tenant, after: place, limit: StoreRequest.listLimit,
            unreadLimit: Self.unreadLimit)
        steps.append(.fetch(request, RequestTag(kind: ChatsRequestKind.list.rawValue)))
    }

    private mutating func addMemberships(_ page: MembershipPage, into steps: inout SessionSteps) {
        self.job?.addMemberships(page.memberships)
        if let next = page.next { return self.fetchMemberships(after: next, into: &steps) }
        self.describeNextBatch(into: &steps)
    }

    /// Asks for the participants of the next ones.
    private mutating func describeNextBatch(into steps: inout SessionSteps) {
        guard let job = self.job else { return }
        let next = job.memberships[job.describeCount...].prefix(Self.describeBatchSize)
        guard !next.isEmpty else {
            let users =
                job.describedChats.values.flatMap { $0.members.map(\.user) }
                + job.memberships.compactMap { $0.lastMessage?.body.author.id }
            return self.lookUpNumbers(users, into: &steps)
        }
        self.job?.describeCount += next.count
        self.job?.pendingDescriptions = next.count
        for listed in next { self.describe(listed.key.id, into: &steps) }
    }

    // MARK: Answers

    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered isShown: Bool,
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
            self.posted(answer, tag, isShown: isShown, into: &steps)
            if let posting = self.pendingPosts {
                self.pendingPosts = posting.count > 1 ? (posting.chat, posting.count - 1) : nil
            }
            self.resumeQueue(into: &steps)
        case .markRead:
            switch answer {
            case .read(let unknown) where !unknown.isEmpty:
                self.fail(.noSuchMessage(unknown[0]), into: &steps)
            case .failed(let error):
                self.fail(error, into: &steps)
            default:
                // Everybody has been told, this connection too.
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
        _ answer: ChatAnswer, _ tag: RequestTag, isShown: Bool, into steps: inout SessionSteps
    ) {
        switch answer {
        case .posted(let message) where !isShown:
            // A repeat: what it made was shown before.
            guard let chat = tag.conversation else { return }
            steps.reply {
                $0.append(created: message, by: self.ownNumber, in: chat, localID: tag.text)
            }
        case .failed(let error):
            steps.reply {
                $0.append(
                    error: ChatsRequest.errorText(error), request: "newMessage", localID: tag.text,
                    outcome: error.outcome)
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
            // A token that lists it makes it.
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
        case (.messages, .described(let description)):
            self.job?.chat = ChatsChat(id: chat, description, limit: 0)
            self.readPage(chat, .newest, into: &steps)
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
            break  // Left meanwhile.
        }
        self.job?.pendingDescriptions -= 1
        if self.job?.pendingDescriptions == 0 { self.describeNextBatch(into: &steps) }
    }

    private func enter(_ chat: ByteString, into steps: inout SessionSteps) {
        var skipsHistory = false
        if case .join(_, nil)? = self.job?.request { skipsHistory = true }
        let isListed = self.subscriptions.joinRequest(for: chat).isListedInToken
        let entrance = JoinRequest(
            principal: self.subscriptions.actor, isListedInToken: isListed, kind: .chats,
            marksHistoryRead: skipsHistory)
        steps.append(
            .enter(
                self.subscriptions.key(chat), entrance, from: .now,
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
            if entered.isNewMember { self.subscriptions.notifyOtherConnections(chat, into: &steps) }
            let user = self.user
            guard let lastRead, lastRead > 0 else {
                return self.finish(into: &steps) {
                    $0.append(joined: user, chat, lastRead: lastRead)
                }
            }
            // The answer waits for it: a list counts from there.
            self.markRead(chat, through: lastRead, into: &steps)
        case .post(let chat, _), .markRead(let chat, _):
            self.subscriptions.insert(chat)
            let since = self.job?.requestedAt ?? 0
            self.job = nil
            self.perform(request, requestedAt: since, into: &steps)
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
            self.finish(into: &steps) {
                $0.append(#"{"type":"emptyChatCreated","data":"#)
                $0.append(fieldsOf: chat, [:])
                $0.append("}}")
            }
        case .failed(.conversationExists) where (self.job?.takenIDCount ?? 0) < Self.idAttemptLimit:
            // A token has made one of this number.
            self.job?.takenIDCount += 1
            steps.append(
                .fetch(
                    .nextNumber(tenant: self.tenant),
                    RequestTag(kind: ChatsRequestKind.nextID.rawValue)))
        case .failed(.conversationExists):
            self.fail(
                "the next \(Self.idAttemptLimit) ids are those of other chats; try again",
                into: &steps)
        case .failed(let error):
            self.fail(error, into: &steps)
        default:
            break
        }
    }

    // MARK: Pages

    private func readPage(_ chat: ByteString, _ range: PageRange, into steps: inout SessionSteps) {
        let tag = RequestTag(kind: ChatsRequestKind.page.rawValue, conversation: chat)
        steps.append(.readPage(self.subscriptions.key(chat), range, limit: Self.pageSize, tag))
    }

    public mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard case .messages(let chat, let days, let last)? = self.job?.request else { return }
        guard let page else {
            return self.fail("the messages cannot be read at the moment; try again", into: &steps)
        }
        if let next = self.job?.addPage(page, of: days, last: last) {
            return self.readPage(chat, .before(next), into: &steps)
        }
        self.lookUpNumbers(self.job?.messages.map(\.body.author.id) ?? [], into: &steps)
    }

    // MARK: What the store says

    public mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard !self.subscriptions.consume(answer, for: tag, into: &steps) else { return }
        switch (ChatsRequestKind(rawValue: tag.kind), answer) {
        case (.ownNumber, .numbers(let numbers)?) where numbers.count == 1:
            self.ownNumber = numbers[0]
        case (.ownNumber, _):
            steps.append(
                .close(1013, "the user's number cannot be looked up at the moment; try again"))
        case (.list, .memberships(let page)?):
            self.addMemberships(page, into: &steps)
        case (.numbers, .numbers(let numbers)?) where !numbers.isEmpty:
            self.job?.recordNumbers(numbers)
            self.lookUpRemainingNumbers(into: &steps)
        case (.nextID, .number(let number)?):
            let chat = ByteString(String(number))
            let founding = NewConversation(
                kind: .chats, creator: self.subscriptions.actor, members: [])
            steps.append(
                .submit(
                    .create(founding), in: self.subscriptions.key(chat),
                    RequestTag(kind: ChatsRequestKind.create.rawValue, conversation: chat)))
        default:
            self.fail("this cannot be answered at the moment; try again", into: &steps)
        }
    }
}

extension ChatsJob {
    /// Newest activity first, as many as a list has.
    mutating func addMemberships(_ memberships: [ListedMembership]) {
        self.memberships += memberships.filter { !$0.key.isInbox }
        self.memberships.sort {
            ($1.record.updatedAt, $0.key.id) < ($0.record.updatedAt, $1.key.id)
        }
        self.memberships.removeLast(max(0, self.memberships.count - UserSubscriptions.limit))
    }
}

extension ByteBuffer {
    fileprivate mutating func append(list job: ChatsJob) {
        self.append(#"{"type":"chatsList","data":["#)
        var isFirst = true
        for listed in job.memberships {
            guard let chat = job.describedChats[listed.key.id] else { continue }
            if !isFirst { self.append(",") }
            isFirst = false
            self.append(fieldsOf: chat, updatedAt: listed.record.updatedAt, job.numbers)
            self.append(#","unread_count":"#)
            self.append(decimal: listed.unreadCount)
            self.append(#","last_message":"#)
            if let last = listed.lastMessage {
                self.append(
                    last, by: job.numbers[last.body.author.id] ?? 0, in: chat.id,
                    isRead: chat.readMarks.isRead(last))
            } else {
                self.append("null")
            }
            self.append("}")
        }
        self.append("]}")
    }

    fileprivate mutating func append(detailsOf job: ChatsJob) {
        guard let chat = job.chat else { return }
        self.append(#"{"type":"chatDetails","data":"#)
        self.append(fieldsOf: chat, job.numbers)
        self.append("}}")
    }

    fileprivate mutating func append(messagesOf job: ChatsJob, in chat: ByteString) {
        self.append(#"{"type":"chatMessages","data":["#)
        for (place, message) in job.messages.reversed().enumerated() {
            if place > 0 { self.append(",") }
            self.append(
                message, by: job.numbers[message.body.author.id] ?? 0, in: chat,
                isRead: job.chat?.readMarks.isRead(message) ?? false)
        }
        self.append("]}")
    }
}
