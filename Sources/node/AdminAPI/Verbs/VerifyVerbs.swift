internal import Bytes
internal import ChatModel
internal import Cluster
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// `confab verify`: checks the stored messages of one conversation or of all.
struct VerifyVerbs: VerbGroup {
    private static let pageSize = 500
    private static let skipLimit = 1000

    let context: AdminContext

    var handlers: [String: AdminHandler] {
        [
            "verify": { request async throws(HTTPError) in
                try await self.verify(request.conversation)
            },
            "verify/all": self.verifyPage,
        ]
    }

    // MARK: One conversation

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
                page = try await self.context.page(key, .after(after), limit: limit)
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

    /// - Parameter comparesWithOwner: false if a repair is planned, after which the owner loads the
    ///   conversation again.
    func verify(_ key: ConversationKey, comparesWithOwner: Bool = true) async throws(HTTPError)
        -> JSONTree
    {
        let snapshot = try await self.context.snapshot()
        let loaded = try await self.context.load(key)
        var check = StreamCheck()
        check.begin(oldest: loaded.oldest)
        try await self.readAll(of: key, through: loaded.head, into: &check)
        let owner = snapshot.view.owner(of: key)
        let replies = await self.context.query(
            ShardVerbs.storedPosition, key.arguments, of: snapshot.peers(owning: owner),
            in: snapshot)
        let position = OwnerPosition(replies.byNode[owner.incarnation])
        if let position, comparesWithOwner {
            // With concurrent writes the owner is ahead of what was read before the query. Its
            // messages must be in the store now.
            while check.last < position.head {
                let page = try await self.context.page(
                    key, .after(check.last), limit: Self.pageSize)
                guard !page.messages.isEmpty else { break }
                check.check(page)
            }
            check.compare(ownerHead: position.head, ownerRevision: position.revision)
        }
        check.compare(recordedHead: loaded.head)
        let stored = try await self.storedFaults(of: key)
        for fault in stored.repairable + stored.unrepairable { check.add(fault) }
        return .document(
            key.arguments + [
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

    /// The faults that reading the messages does not show.
    func storedFaults(of key: ConversationKey) async throws(HTTPError) -> StoredFaults {
        switch await self.context.read(.examine(key)) {
        case .examined(let faults)?: return faults
        // The state is too damaged to examine it.
        case .failed(let failure)? where failure.isRequestSpecific:
            return StoredFaults(unrepairable: [failure.description])
        case let answer: throw .storeFailure(answer)
        }
    }

    // MARK: All conversations

    /// Checks one part of all conversations.
    private func verifyPage(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let after = request.text("after").map { ByteString($0) }
        let limit = request.number("limit") ?? 50
        let page: ConversationKeyPage
        switch await self.context.read(.conversations(after: after, limit: limit)) {
        case .conversations(let found)?: page = found
        case .failed(.invalidCursor)?:
            throw .badRequest("\"after\" must be the \"next\" of the page before.")
        case let answer: throw .storeFailure(answer)
        }
        var rows: [JSONTree] = []
        var messages = 0
        for key in page.keys {
            let result: JSONTree
            do throws(HTTPError) {
                result = try await self.verify(key)
            } catch {
                // Deleted since the page was read.
                if error.status == .notFound { continue }
                guard error.status == .conflict else { throw error }
                rows.append(Self.faultyRow(key, repairable: 0, [.string(error.message)]))
                continue
            }
            messages += result["messages"]?.integerValue ?? 0
            guard result["complete"]?.boolValue == false else { continue }
            rows.append(
                Self.faultyRow(
                    key, repairable: result["repairable"]?.integerValue ?? 0,
                    result["faults"]?.elements ?? []))
        }
        return .document([
            .init("checked", .integer(page.keys.count)), .init("messages", .integer(messages)),
            .init("conversations", .array(rows)),
            .init("next", page.next.map { .string($0.string) } ?? .null),
        ])
    }

    private static func faultyRow(
        _ key: ConversationKey, repairable: Int, _ faults: [JSONTree]
    ) -> JSONTree {
        [
            "conversation": .string(key.id.string), "tenant": .string(key.tenant.string),
            "repairable": .integer(repairable), "faults": .array(faults),
        ]
    }
}
