internal import Bytes
internal import ChatModel
internal import Cluster
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// What is said in conversations, read and written for operators.
extension ClusterAdmin {
    static let messageLimit = 1000
    private static let pageSize = 500
    private static let skipLimit = 1000

    static func unknown(_ key: ConversationKey) -> HTTPError {
        HTTPError(.notFound, "There is no conversation \(key.id) in tenant \(key.tenant).")
    }

    private static let storeUnavailable = HTTPError(
        .serviceUnavailable, "The store does not answer.")

    func read(_ request: StoreRequest) async -> StoreAnswer? {
        await self.gateway?.read(request, within: Self.localTimeout)
    }

    private func load(_ key: ConversationKey) async throws(HTTPError) -> LoadedConversation {
        switch await self.read(.load(key)) {
        case .loaded(let loaded?)?: return loaded
        case .loaded(nil)?: throw Self.unknown(key)
        case .failed(let failure)? where failure.isRequestSpecific:
            throw HTTPError(.conflict, failure.description)
        case .failed(let failure)?:
            throw HTTPError(
                .serviceUnavailable, "The store could not be read: \(failure.description)")
        default: throw Self.storeUnavailable
        }
    }

    private func page(_ key: ConversationKey, _ range: PageRange, limit: Int)
        async throws(HTTPError) -> MessagePage
    {
        switch await self.read(.page(key, range, limit: limit)) {
        case .page(let page)?: return page
        // What is kept of it is damaged: no other node could read it either.
        case .failed(let failure)? where failure.isRequestSpecific:
            throw HTTPError(.conflict, failure.description)
        case .failed(let failure)?:
            throw HTTPError(
                .serviceUnavailable, "The store could not be read: \(failure.description)")
        default: throw Self.storeUnavailable
        }
    }

    // MARK: History

    /// - Parameter after: nil: the newest ones.
    func history(_ key: ConversationKey, after: Int?, limit: Int) async throws(HTTPError)
        -> JSONTree
    {
        _ = try await self.load(key)
        let page = try await self.page(key, after.map { .after($0) } ?? .newest, limit: limit)
        return Self.document([
            .init("conversation", .string(key.id.string)),
            .init("tenant", .string(key.tenant.string)), .init("head", .integer(page.head)),
            .init("oldest", .integer(page.oldest)),
            .init("messages", .array(page.messages.map(Self.row))),
        ])
    }

    private static func row(_ message: Message) -> JSONTree {
        [
            "id": .string(String(message.sequence)),
            "sender_id": .string(message.body.author.id.displayID.string),
            "content": .string(message.body.content), "timestamp": .string(message.sentAt.text),
            "is_edited": .bool(message.state == .edited),
            "is_deleted": .bool(message.state == .deleted),
            "revision": .integer(message.revision),
            "local_id": message.body.clientMessageID?.displayID.map { .string($0.string) } ?? .null,
        ]
    }

    // MARK: Send

    func send(_ question: JSONTree) async throws(HTTPError) -> JSONTree {
        guard let user = question["user"]?.stringValue,
            let content = question["content"]?.stringValue
        else {
            throw .badRequest("The body must have \"conversation\", \"user\" and \"content\".")
        }
        guard (1...128).contains(user.unicodeScalars.count),
            !user.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            throw .badRequest("\"user\" must be 1 to 128 characters without control characters.")
        }
        let key = try Self.key(
            question["conversation"]?.stringValue, question["tenant"]?.stringValue)
        do throws(ChatError) {
            try self.limits.check(content: content)
        } catch {
            throw .badRequest(error.description)
        }
        // As operators read it: a guest's id begins as those of guests do.
        let id = UserID(displayID: ByteString(user))
        let member = try await self.load(key).members.first { $0.user == id }
        let person = Person(id: id, name: member?.name ?? id.name)
        if member == nil {
            let entrance = JoinRequest(
                principal: Principal(person: person, isAdmin: true), isListedInToken: true,
                kind: .conversations)
            _ = try await self.command(.join(entrance), in: key)
        }
        let answer = try await self.command(
            .post(MessageBody(author: person, clientMessageID: nil, content: content)), in: key)
        guard case .posted(let message) = answer else { throw .internalServerError }
        self.logger.info(
            "sent by an operator",
            [
                "conversation": .text(key.description), "user": .text(user),
                "sequence": LogValue(message.sequence),
            ])
        self.link?.record(
            "send",
            [
                .init("conversation", key.id.string), .init("tenant", key.tenant.string),
                .init("user", user),
                .init("message", String(message.sequence)),
            ])
        return Self.document([
            .init("conversation", .string(key.id.string)), .init("messages", [Self.row(message)]),
        ])
    }

    private func command(_ command: ChatCommand, in key: ConversationKey) async throws(HTTPError)
        -> ChatAnswer
    {
        // A send that is not stored fails after five seconds.
        guard let answer = await self.gateway?.command(command, in: key, within: .seconds(7)) else {
            throw Self.storeUnavailable
        }
        switch answer {
        case .failed(.noSuchConversation): throw Self.unknown(key)
        case .failed(let error) where [.unavailable, .rejected, .outcomeUnknown].contains(error):
            throw HTTPError(.serviceUnavailable, error.description)
        case .failed(let error): throw HTTPError(.conflict, error.description)
        default: return answer
        }
    }

    static func key(_ conversation: String?, _ tenant: String?) throws(HTTPError) -> ConversationKey
    {
        func id(_ text: String?, _ name: String) throws(HTTPError) -> ByteString {
            guard let text, (1...255).contains(text.utf8.count),
                text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
            else {
                throw .badRequest("\"\(name)\" must be 1 to 255 bytes without control characters.")
            }
            return ByteString(text)
        }
        return ConversationKey(
            tenant: try id(tenant ?? "default", "tenant"), id: try id(conversation, "conversation"))
    }

    // MARK: Verify

    /// Page by page; where the store finds a page damaged, message by message, so that the place is known.
    private func readAll(
        of key: ConversationKey, through head: SequenceNumber, into check: inout StreamCheck
    ) async throws(HTTPError) {
        var singles = 0
        var after = check.oldest - 1
        // What is missing is passed over one by one, but not for ever.
        var skipped = 0
        while true {
            let limit = singles > 0 ? 1 : Self.pageSize
            let page: MessagePage
            do throws(HTTPError) {
                page = try await self.page(key, .after(after), limit: limit)
            } catch {
                guard error.status == .conflict else { throw error }
                guard singles > 0 else {
                    singles = Self.pageSize
                    continue
                }
                after += 1
                skipped += 1
                check.skip(after, error.message)
                if after >= head || skipped > Self.skipLimit { return check.finish() }
                continue
            }
            check.check(page)
            after = max(page.messages.last?.sequence ?? page.head, page.oldest - 1)
            if after >= page.head { return check.finish() }
            singles = max(0, singles - 1)
        }
    }

    /// Reads everything that is kept, and then asks the owner.
    func verify(_ key: ConversationKey) async throws(HTTPError) -> JSONTree {
        let scene = try await self.clusterSnapshot()
        let loaded = try await self.load(key)
        var check = StreamCheck()
        check.begin(oldest: loaded.oldest)
        try await self.readAll(of: key, through: loaded.head, into: &check)
        let owner = scene.view.owner(of: key)
        let peers = scene.peers.filter { $0.incarnation == owner.incarnation }
        let question: JSONTree = [
            "conversation": .string(key.id.string), "tenant": .string(key.tenant.string),
        ]
        let answers = await self.query("stored", question, of: peers, in: scene)
        let held = answers.replies[owner.incarnation]
        if let head = held?["head"]?.integerValue, let revision = held?["revision"]?.integerValue {
            // While people write, the owner is ahead of what was read before it was asked: what it has must be there now.
            while check.last < head {
                let page = try await self.page(key, .after(check.last), limit: Self.pageSize)
                guard !page.messages.isEmpty else { break }
                check.check(page)
            }
            check.compare(ownerHead: head, ownerRevision: revision)
        }
        check.compare(recordedHead: loaded.head)
        return Self.document(
            [
                .init("conversation", .string(key.id.string)),
                .init("tenant", .string(key.tenant.string)),
                .init("whole", .bool(check.faults.isEmpty)),
                .init("messages", .integer(check.count)),
                .init("oldest", .integer(check.oldest)), .init("head", .integer(check.last)),
                .init("revision", .integer(check.revision)),
                .init("owner", .string(scene.name(of: owner.incarnation))),
                .init("owner_head", held?["head"] ?? .null),
                .init("faults", .array(check.faults.map { .string($0) })),
            ] + answers.counts)
    }
}

/// Whether a conversation's stream is whole: told page by page, oldest first.
struct StreamCheck {
    /// Of a stream that is broken everywhere the first places are enough.
    static let faultLimit = 20

    private(set) var oldest = 1
    private(set) var last = 0
    private(set) var count = 0
    /// Of the stream, as of the last page.
    private(set) var revision = 0
    private(set) var faults: [String] = []
    private var head = 0
    private var oldestRetained = 1
    /// The highest revision of messages that are as they were sent.
    private var lastRevision = 0
    private var revisions: Set<Int> = []
    private var hasBegun = false

    mutating func begin(oldest: Int) {
        self.oldest = oldest
    }

    /// Of this number there is no message, or one that cannot be read, for that reason.
    mutating func skip(_ number: Int, _ reason: String) {
        self.add(reason)
        self.hasBegun = true
        self.last = max(self.last, number)
    }

    mutating func check(_ page: MessagePage) {
        for message in page.messages {
            let number = message.sequence
            if !self.hasBegun {
                self.hasBegun = true
                if number != self.oldest {
                    self.add("the oldest message is \(number); \(self.oldest) should be kept")
                }
            } else if number <= self.last {
                self.add("message \(number) comes after \(self.last)")
            } else if number > self.last + 1 {
                self.add(
                    number == self.last + 2
                        ? "message \(self.last + 1) is missing"
                        : "messages \(self.last + 1) to \(number - 1) are missing")
            }
            // An edit gives a message a later revision; those that are as they were sent rise with their numbers.
            if message.state == .asSent {
                if message.revision <= self.lastRevision {
                    self.add(
                        "message \(number) has revision \(message.revision), no higher than one before it"
                    )
                }
                self.lastRevision = max(self.lastRevision, message.revision)
            }
            if !self.revisions.insert(message.revision).inserted {
                self.add("revision \(message.revision) is two messages' own")
            }
            if message.revision > page.revision {
                self.add(
                    "message \(number) has revision \(message.revision), above the stream's \(page.revision)"
                )
            }
            self.last = max(self.last, number)
            self.count += 1
        }
        self.head = page.head
        self.revision = page.revision
        self.oldestRetained = page.oldest
    }

    /// All of it was read.
    mutating func finish() {
        if self.count == 0, self.oldestRetained > self.head {
            // Nothing of it is kept any more.
            self.last = self.head
        } else if self.last < self.head {
            self.add("the stream ends at \(self.last); its head is \(self.head)")
        }
    }

    mutating func compare(ownerHead: Int, ownerRevision: Int) {
        if ownerHead > self.last {
            self.add("the owner is at message \(ownerHead); the stream ends at \(self.last)")
        }
        if ownerHead < self.last, ownerRevision > self.revision {
            self.add("the owner is at message \(ownerHead); the stream goes on to \(self.last)")
        }
    }

    /// What the conversation's record said before the stream was read.
    mutating func compare(recordedHead: Int) {
        if recordedHead > self.last {
            self.add("the record names message \(recordedHead); the stream ends at \(self.last)")
        }
    }

    mutating func add(_ fault: String) {
        if self.faults.count < Self.faultLimit { self.faults.append(fault) }
    }
}
