import Bytes
public import ChatModel
public import DialectKit

/// Pages of messages, and answers of the store.
extension ChatsSession {
    private static let pageSize = 200

    func readPage(_ chat: ByteString, _ range: PageRange, into steps: inout SessionSteps) {
        steps.append(self.pageStep(chat, range))
    }

    private func pageStep(_ chat: ByteString, _ range: PageRange) -> SessionStep {
        let tag = RequestTag(kind: ChatsRequestKind.page.rawValue, conversation: chat)
        return .readPage(self.subscriptions.key(chat), range, limit: Self.pageSize, tag)
    }

    public mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard case .messages(let chat, let days, let last, _)? = self.job?.request else { return }
        guard let page else {
            return self.fail("the messages cannot be read at the moment; try again", into: &steps)
        }
        if let next = self.job?.addPage(page, of: days, last: last) {
            let bytes = page.messages.reduce(0) { $0 + $1.pageBytes }
            return steps.append(.readFurther(self.pageStep(chat, .before(next)), after: bytes))
        }
        self.lookUpNumbers(self.job?.messages.map(\.body.author.id) ?? [], into: &steps)
    }

    // MARK: Answers of the store

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
            let newConversation = NewConversation(
                self.newChats, creator: self.subscriptions.principal,
                members: self.newChats.joinPolicy == .closed ? [self.person] : [])
            steps.append(
                .submit(
                    .create(newConversation), in: self.subscriptions.key(chat),
                    RequestTag(kind: ChatsRequestKind.create.rawValue, conversation: chat)))
        default:
            self.fail("this cannot be answered at the moment; try again", into: &steps)
        }
    }
}
