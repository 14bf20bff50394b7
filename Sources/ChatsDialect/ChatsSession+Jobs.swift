import Bytes
public import ChatModel
public import DialectKit
import Identity
import JSON

/// How requests are answered that take several questions.
extension ChatsSession {
    /// A list shows so many participants of each chat, and the details of one chat so many.
    private static let listedParticipants = 100
    private static let detailedParticipants = 10_000
    /// Unread messages are counted to here.
    private static let unreadLimit = 1000
    /// So many of a list are asked about at a time.
    private static let describedAtOnce = 100
    private static let pageMessages = 200
    /// So many ids that tokens have taken are passed over for one chat. The counter does not go back: who asks again goes on behind them.
    private static let idTries = 10_000

    /// - Parameter since: the millisecond at which the client sent it.
    mutating func begin(_ request: ChatsRequest, since: Int64, into steps: inout SessionSteps) {
        switch request {
        case .chats:
            self.job = ChatsJob(request)
            self.list(after: nil, into: &steps)
        case .create:
            self.job = ChatsJob(request)
            steps.append(.fetch(.nextNumber(tenant: self.tenant), SessionTag(kind: Question.nextID.rawValue)))
        case .join(let chat, _):
            self.job = ChatsJob(request)
            let isListed = self.subscriptions.entrance(to: chat).isListed
            self.describe(chat, guests: isListed ? .all : .ofOpen, into: &steps)
        case .details(let chat), .messages(let chat, _, _):
            self.job = ChatsJob(request)
            self.describe(chat, into: &steps)
        case .post(let chat, _), .markRead(let chat, _):
            guard !self.subscriptions.hears(chat) else { return self.perform(request, since: since, into: &steps) }
            self.job = ChatsJob(request, since: since)
            self.describe(chat, into: &steps)
        case .authenticate:
            break
        }
    }

    private func describe(_ chat: ByteString, guests: Guests = .none, into steps: inout SessionSteps) {
        steps.append(
            .ask(
                .describe(by: self.subscriptions.actor, guests: guests), in: self.subscriptions.key(chat),
                SessionTag(kind: Question.describe.rawValue, conversation: chat, since: self.job?.since ?? 0)))
    }

    /// What is done in a chat that the connection hears.
    private mutating func perform(_ request: ChatsRequest, since: Int64, into steps: inout SessionSteps) {
        switch request {
        case .post(let chat, let post):
            let body = MessageBody(
                author: self.person, clientID: post.localID.flatMap { ClientID(given: $0) }, content: post.text,
                metadata: post.isRead ? ReadMarks.metadata : nil)
            self.posting = (chat, (self.posting?.count ?? 0) + 1)
            let tag = SessionTag(kind: Question.post.rawValue, text: post.localID, conversation: chat, since: since)
            steps.append(.ask(.post(body), in: self.subscriptions.key(chat), tag))
        case .markRead(let chat, let sequence):
            self.job = ChatsJob(request)
            self.markRead(chat, through: sequence, into: &steps)
        default:
            break
        }
    }

    private func markRead(_ chat: ByteString, through sequence: SequenceNumber, into steps: inout SessionSteps) {
        let tag = SessionTag(kind: Question.markRead.rawValue)
        steps.append(.ask(.readThrough(sequence, by: self.person.id), in: self.subscriptions.key(chat), tag))
    }

    // MARK: Ends

    private mutating func finish(into steps: inout SessionSteps, _ write: (inout ByteBuffer) -> Void) {
        self.job = nil
        steps.reply(write)
        self.goOn(into: &steps)
    }

    private mutating func fail(_ sentence: String, into steps: inout SessionSteps) {
        let request = self.job?.request
        self.finish(into: &steps) { $0.append(error: sentence, request: request?.type, localID: request?.localID) }
    }

    private mutating func fail(_ error: ChatError, into steps: inout SessionSteps) {
        self.fail(ChatsRequest.sentence(error, chatField: self.job?.request.chatField ?? "chat"), into: &steps)
    }

    /// Everything has been asked but users' numbers.
    private mutating func lookUp(_ users: some Sequence<UserID>, into steps: inout SessionSteps) {
        self.job?.need(users)
        self.lookUpMore(into: &steps)
    }

    private mutating func lookUpMore(into steps: inout SessionSteps) {
        guard let job = self.job else { return }
        guard job.unnumbered.isEmpty else {
            let users = Array(job.unnumbered.prefix(StoreRequest.numbersLimit))
            steps.append(.fetch(.numbers(of: users, tenant: self.tenant), SessionTag(kind: Question.numbers.rawValue)))
            return
        }
        switch job.request {
        case .chats: self.finish(into: &steps) { $0.append(list: job) }
        case .details: self.finish(into: &steps) { $0.append(detailsOf: job) }
        case .messages(let chat, _, _): self.finish(into: &steps) { $0.append(messagesOf: job, in: chat) }
        default: break
        }
    }

    // MARK: Lists

    private func list(after place: ByteString?, into steps: inout SessionSteps) {
        let request = StoreRequest.memberships(
            of: self.person.id, tenant: self.tenant, after: place, limit: StoreRequest.listLimit, unreadLimit: Self.unreadLimit)
        steps.append(.fetch(request, SessionTag(kind: Question.list.rawValue)))
    }

    private mutating func take(_ page: MembershipPage, into steps: inout SessionSteps) {
        self.job?.take(page.memberships)
        if let next = page.next { return self.list(after: next, into: &steps) }
        self.describeMore(into: &steps)
    }

    /// Asks for the participants of the next ones.
    private mutating func describeMore(into steps: inout SessionSteps) {
        guard let job = self.job else { return }
        let next = job.listed[job.asked...].prefix(Self.describedAtOnce)
        guard !next.isEmpty else {
            let users = job.described.values.flatMap { $0.members.map(\.user) } + job.listed.compactMap { $0.last?.body.author.id }
            return self.lookUp(users, into: &steps)
        }
        self.job?.asked += next.count
        self.job?.waiting = next.count
        for listed in next { self.describe(listed.key.id, into: &steps) }
    }

    // MARK: Answers

    public mutating func answered(_ answer: ChatAnswer, to tag: SessionTag, isShown: Bool, into steps: inout SessionSteps) {
        guard !self.subscriptions.take(answer, for: tag, into: &steps) else { return }
        switch Question(rawValue: tag.kind) {
        case .describe:
            guard let chat = tag.conversation else { return }
            self.described(chat, answer, into: &steps)
        case .enter:
            self.entered(answer, into: &steps)
        case .create:
            self.created(answer, tag, into: &steps)
        case .post:
            self.posted(answer, tag, isShown: isShown, into: &steps)
            if let posting = self.posting { self.posting = posting.count > 1 ? (posting.chat, posting.count - 1) : nil }
            self.goOn(into: &steps)
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
                    return self.finish(into: &steps) { $0.append(joined: user, chat, lastRead: lastRead) }
                }
                self.job = nil
                self.goOn(into: &steps)
            }
        case .ownNumber, .list, .page, .numbers, .nextID, nil:
            break
        }
    }

    private func posted(_ answer: ChatAnswer, _ tag: SessionTag, isShown: Bool, into steps: inout SessionSteps) {
        switch answer {
        case .posted(let message) where !isShown:
            // A repeat: what it made was shown before.
            guard let chat = tag.conversation else { return }
            steps.reply { $0.append(created: message, by: self.number, in: chat, localID: tag.text) }
        case .failed(let error):
            steps.reply {
                $0.append(error: ChatsRequest.sentence(error), request: "newMessage", localID: tag.text, outcome: error.outcome)
            }
        default:
            break
        }
    }

    private mutating func described(_ chat: ByteString, _ answer: ChatAnswer, into steps: inout SessionSteps) {
        guard let job = self.job else { return }
        if case .chats = job.request { return self.describedOfList(chat, answer, into: &steps) }
        switch (job.request, answer) {
        case (.join(_, let lastRead), .failed(.noSuchConversation)):
            // A token that lists it makes it.
            guard self.subscriptions.entrance(to: chat).isListed else { return self.fail(.noSuchConversation, into: &steps) }
            guard (lastRead ?? 0) == 0 else { return self.fail(.noSuchMessage(lastRead ?? 0), into: &steps) }
            self.enter(chat, into: &steps)
        case (_, .failed(let error)):
            self.fail(error, into: &steps)
        case (.join(_, let lastRead), .described(let description)):
            guard (lastRead ?? 0) <= description.head else {
                return self.fail(.noSuchMessage(lastRead ?? 0), into: &steps)
            }
            self.enter(chat, into: &steps)
        case (.details, .described(let description)):
            self.job?.chat = ChatsChat(id: chat, description, limit: Self.detailedParticipants)
            self.lookUp(self.job?.chat?.members.map(\.user) ?? [], into: &steps)
        case (.messages, .described(let description)):
            self.job?.chat = ChatsChat(id: chat, description, limit: 0)
            self.read(chat, .newest, into: &steps)
        case (_, .described):
            self.enter(chat, into: &steps)
        default:
            break
        }
    }

    private mutating func describedOfList(_ chat: ByteString, _ answer: ChatAnswer, into steps: inout SessionSteps) {
        switch answer {
        case .described(let description):
            self.job?.described[chat] = ChatsChat(id: chat, description, limit: Self.listedParticipants)
        case .failed(.unavailable):
            return self.fail("the chats cannot be listed at the moment; try again", into: &steps)
        default:
            break  // Left meanwhile.
        }
        self.job?.waiting -= 1
        if self.job?.waiting == 0 { self.describeMore(into: &steps) }
    }

    private func enter(_ chat: ByteString, into steps: inout SessionSteps) {
        var skipsHistory = false
        if case .join(_, nil)? = self.job?.request { skipsHistory = true }
        let isListed = self.subscriptions.entrance(to: chat).isListed
        let entrance = Entrance(actor: self.subscriptions.actor, isListed: isListed, kind: .chats, skipsHistory: skipsHistory)
        steps.append(
            .enter(
                self.subscriptions.key(chat), entrance, from: .now,
                SessionTag(kind: Question.enter.rawValue, conversation: chat, since: self.job?.since ?? 0)))
    }

    private mutating func entered(_ answer: ChatAnswer, into steps: inout SessionSteps) {
        guard let request = self.job?.request else { return }
        guard case .entered(let entered) = answer else {
            if case .failed(let error) = answer { self.fail(error, into: &steps) }
            return
        }
        switch request {
        case .join(let chat, let lastRead):
            self.subscriptions.entered(chat)
            if entered.isNewMember { self.subscriptions.announce(chat, into: &steps) }
            let user = self.user
            guard let lastRead, lastRead > 0 else {
                return self.finish(into: &steps) { $0.append(joined: user, chat, lastRead: lastRead) }
            }
            // The answer waits for it: a list counts from there.
            self.markRead(chat, through: lastRead, into: &steps)
        case .post(let chat, _), .markRead(let chat, _):
            self.subscriptions.entered(chat)
            let since = self.job?.since ?? 0
            self.job = nil
            self.perform(request, since: since, into: &steps)
            self.goOn(into: &steps)
        default:
            break
        }
    }

    private mutating func created(_ answer: ChatAnswer, _ tag: SessionTag, into steps: inout SessionSteps) {
        switch answer {
        case .described(let description):
            guard let id = tag.conversation else { return }
            let chat = ChatsChat(id: id, description, limit: 0)
            self.finish(into: &steps) {
                $0.append(#"{"type":"emptyChatCreated","data":"#)
                $0.append(fieldsOf: chat, [:])
                $0.append("}}")
            }
        case .failed(.conversationExists) where (self.job?.triedIDs ?? 0) < Self.idTries:
            // A token has made one of this number.
            self.job?.triedIDs += 1
            steps.append(.fetch(.nextNumber(tenant: self.tenant), SessionTag(kind: Question.nextID.rawValue)))
        case .failed(.conversationExists):
            self.fail("the next \(Self.idTries) ids are those of other chats; try again", into: &steps)
        case .failed(let error):
            self.fail(error, into: &steps)
        default:
            break
        }
    }

    // MARK: Pages

    private func read(_ chat: ByteString, _ range: PageRange, into steps: inout SessionSteps) {
        let tag = SessionTag(kind: Question.page.rawValue, conversation: chat)
        steps.append(.read(self.subscriptions.key(chat), range, limit: Self.pageMessages, tag))
    }

    public mutating func paged(_ page: Page?, for tag: SessionTag, into steps: inout SessionSteps) {
        guard case .messages(let chat, let days, let last)? = self.job?.request else { return }
        guard let page else { return self.fail("the messages cannot be read at the moment; try again", into: &steps) }
        if let next = self.job?.take(page, of: days, last: last) { return self.read(chat, .before(next), into: &steps) }
        self.lookUp(self.job?.messages.map(\.body.author.id) ?? [], into: &steps)
    }

    // MARK: What the store says

    public mutating func fetched(_ answer: StoreAnswer?, for tag: SessionTag, into steps: inout SessionSteps) {
        guard !self.subscriptions.take(answer, for: tag, into: &steps) else { return }
        switch (Question(rawValue: tag.kind), answer) {
        case (.ownNumber, .numbers(let numbers)?) where numbers.count == 1:
            self.number = numbers[0]
        case (.ownNumber, _):
            steps.append(.close(1013, "the user's number cannot be looked up at the moment; try again"))
        case (.list, .memberships(let page)?):
            self.take(page, into: &steps)
        case (.numbers, .numbers(let numbers)?) where !numbers.isEmpty:
            self.job?.note(numbers)
            self.lookUpMore(into: &steps)
        case (.nextID, .number(let number)?):
            let chat = ByteString(String(number))
            let founding = Founding(kind: .chats, creator: self.subscriptions.actor, members: [])
            steps.append(
                .ask(.create(founding), in: self.subscriptions.key(chat), SessionTag(kind: Question.create.rawValue, conversation: chat)))
        default:
            self.fail("this cannot be answered at the moment; try again", into: &steps)
        }
    }
}

extension ChatsJob {
    /// Newest activity first, as many as a list has.
    mutating func take(_ memberships: [ListedMembership]) {
        self.listed += memberships.filter { !$0.key.isInbox }
        self.listed.sort { ($1.record.updatedAt, $0.key.id) < ($0.record.updatedAt, $1.key.id) }
        self.listed.removeLast(max(0, self.listed.count - Subscriptions.limit))
    }
}

extension ByteBuffer {
    fileprivate mutating func append(list job: ChatsJob) {
        self.append(#"{"type":"chatsList","data":["#)
        var isFirst = true
        for listed in job.listed {
            guard let chat = job.described[listed.key.id] else { continue }
            if !isFirst { self.append(",") }
            isFirst = false
            self.append(fieldsOf: chat, updatedAt: listed.record.updatedAt, job.numbers)
            self.append(#","unread_count":"#)
            self.append(decimal: listed.unread)
            self.append(#","last_message":"#)
            if let last = listed.last {
                self.append(last, by: job.numbers[last.body.author.id] ?? 0, in: chat.id, isRead: chat.marks.isRead(last))
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
                message, by: job.numbers[message.body.author.id] ?? 0, in: chat, isRead: job.chat?.marks.isRead(message) ?? false)
        }
        self.append("]}")
    }
}
