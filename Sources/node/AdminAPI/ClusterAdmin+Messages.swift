internal import Bytes
internal import ChatEngine
internal import ChatModel
internal import Cluster
internal import ClusterWire
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// Reads and sends messages for operators.
extension ClusterAdmin {
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

    func load(_ key: ConversationKey) async throws(HTTPError) -> LoadedConversation {
        switch await self.read(.load(key)) {
        case .loaded(let loaded?)?: return loaded
        case .loaded(nil)?: throw Self.unknown(key)
        case let answer: throw Self.failure(of: answer)
        }
    }

    func page(_ key: ConversationKey, _ range: PageRange, limit: Int)
        async throws(HTTPError) -> MessagePage
    {
        switch await self.read(
            .page(key, range, limit: PageLimit(messages: limit)))
        {
        case .page(let page)?: return page
        case let answer: throw Self.failure(of: answer)
        }
    }

    /// The error for an answer without the requested data; nil is a store that does not answer.
    static func failure(of answer: StoreAnswer?) -> HTTPError {
        switch answer {
        // The stored data is damaged, so another node could not read it either.
        case .failed(let failure)? where failure.isRequestSpecific:
            HTTPError(.conflict, failure.description)
        case .failed(let failure)?:
            HTTPError(.serviceUnavailable, "The store could not be read: \(failure.description)")
        default: Self.storeUnavailable
        }
    }

    // MARK: History

    func history(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let key = request.conversation
        _ = try await self.load(key)
        let after = request.number("after")
        let page = try await self.page(
            key, after.map { .after($0) } ?? .newest,
            limit: request.number("last") ?? (after == nil ? 20 : 1000))
        return Self.document([
            .init("conversation", .string(key.id.string)),
            .init("tenant", .string(key.tenant.string)), .init("head", .integer(page.head)),
            .init("oldest", .integer(page.oldest)),
            .init("messages", .array(page.messages.map(\.tree))),
        ])
    }

    // MARK: Send

    func send(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let user = request.text("user") ?? ""
        let content = request.text("content") ?? ""
        let key = request.conversation
        do throws(ChatError) {
            try self.limits.check(content: content)
        } catch {
            throw .badRequest(error.description)
        }
        // The operator writes ids as they are displayed, with the prefix of guests.
        let id = UserID(displayID: ByteString(user))
        let member = try await self.load(key).currentMembers.first { $0.user.looksLike(id) }
        guard member != nil || NameRule.allows(id.name.string, limit: 128) else {
            throw .badRequest("\"user\": must be 1 to 128 \(NameRule.text).")
        }
        let replyTo = request.number("reply_to")
        let place = "\(key.id) of tenant \(key.tenant)"
        if request.isDryRun {
            return Self.document([
                .init(
                    "summary",
                    .string(
                        "would send it to \(place), as \(user)"
                            + (replyTo.map { ", in reply to message \($0)" } ?? "")))
            ])
        }
        let person = Person(id: member?.user ?? id, name: member?.name ?? id.name)
        if member == nil {
            let join = JoinRequest(
                principal: Principal(person: person, isAdmin: true), isListedInToken: true,
                template: ConversationTemplate(origin: "admin"))
            _ = try await self.command(.join(join), in: key)
        }
        let body = MessageBody(
            author: person, clientMessageID: nil, content: content,
            annotations: MessageAnnotations(
                reply: replyTo.map { Reply(to: $0) }, mentions: nil))
        let answer = try await self.command(.post(body), in: key)
        guard case .posted(let message, _) = answer else { throw .internalServerError }
        self.logger.info(
            "message sent by operator",
            [
                "conversation": .text(key.description), "user": .text(user),
                "sequence": LogValue(message.sequence),
            ])
        self.record(
            "send", request, detail: "message \(message.sequence) of \(place), as \(user)")
        return Self.document([
            .init("summary", .string("message \(message.sequence) of \(key.id)")),
            .init("conversation", .string(key.id.string)), .init("messages", [message.tree]),
        ])
    }

    func command(_ command: ChatCommand, in key: ConversationKey) async throws(HTTPError)
        -> ChatAnswer
    {
        // A send that is not stored fails after five seconds.
        guard
            let answer = await self.gateway?.operatorCommand(
                command, in: key, within: .seconds(7))
        else { throw Self.storeUnavailable }
        switch answer {
        case .failed(.noSuchConversation): throw Self.unknown(key)
        case .failed(let error) where [.unavailable, .rejected, .outcomeUnknown].contains(error):
            throw HTTPError(.serviceUnavailable, error.description)
        case .failed(let error): throw HTTPError(.conflict, error.description)
        default: return answer
        }
    }

    // MARK: Verify

    /// Reads page by page. If the store reports a damaged page, it reads message by message, so
    /// that the fault names the message.
    private func readAll(
        of key: ConversationKey, through head: SequenceNumber, into check: inout StreamCheck
    ) async throws(HTTPError) {
        var singles = 0
        var after = check.oldest - 1
        // Missing messages are skipped one by one, up to a limit.
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

    ///
    /// - Parameter comparesWithOwner: false if a repair is planned, after which the owner loads the
    ///   conversation again.
    func verify(_ key: ConversationKey, comparesWithOwner: Bool = true) async throws(HTTPError)
        -> JSONTree
    {
        let snapshot = try await self.clusterSnapshot()
        let loaded = try await self.load(key)
        var check = StreamCheck()
        check.begin(oldest: loaded.oldest)
        try await self.readAll(of: key, through: loaded.head, into: &check)
        let owner = snapshot.view.owner(of: key)
        let peers = snapshot.peers.filter { $0.incarnation == owner.incarnation }
        let replies = await self.query(.storedPosition(key), of: peers, in: snapshot)
        let position = OwnerPosition(replies.byNode[owner.incarnation])
        if let position, comparesWithOwner {
            // With concurrent writes the owner is ahead of what was read before the query. Its
            // messages must be in the store now.
            while check.last < position.head {
                let page = try await self.page(key, .after(check.last), limit: Self.pageSize)
                guard !page.messages.isEmpty else { break }
                check.check(page)
            }
            check.compare(ownerHead: position.head, ownerRevision: position.revision)
        }
        check.compare(recordedHead: loaded.head)
        let stored = try await self.storedFaults(of: key)
        for fault in stored.repairable + stored.unrepairable { check.add(fault) }
        return Self.document(
            [
                .init("conversation", .string(key.id.string)),
                .init("tenant", .string(key.tenant.string)),
                .init("complete", .bool(check.faults.isEmpty)),
                .init("messages", .integer(check.count)),
                .init("oldest", .integer(check.oldest)), .init("head", .integer(check.last)),
                .init("revision", .integer(check.revision)),
                .init("owner", .string(snapshot.name(of: owner.incarnation))),
                .init("owner_head", position.map { .integer($0.head) } ?? .null),
                .init("repairable", .integer(stored.repairable.count)),
                .init("faults", .array(check.faults.map { .string($0) })),
            ] + replies.counts)
    }
}
