internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import JSON
internal import RoomsDialect

/// The lists of conversations: those that every user of the tenant may find, and the user's own.
extension RoomsAPI {
    private struct ListedConversation: Sendable {
        let entry: ListEntry
        let description: ConversationDetails
        let lastMessage: Message?
    }

    /// A conversation to list, and its place in the list.
    private struct ListEntry: Sendable {
        let cursor: PageCursor
        /// Nil for a user that is no member.
        let membership: OwnMembership?

        var id: ByteString { self.cursor.id }

        init(cursor: PageCursor, membership: OwnMembership? = nil) {
            self.cursor = cursor
            self.membership = membership
        }
    }

    /// The part of a membership that an item shows. A user may have very many.
    fileprivate struct OwnMembership: Sendable {
        let isEnded: Bool
        let unreadCount: Int
        let unreadMentionCount: Int
        let readCursor: SequenceNumber

        init(_ membership: ListedMembership) {
            self.isEnded = membership.record.endedAt != nil
            self.unreadCount = membership.unreadCount
            self.unreadMentionCount = membership.unreadMentionCount
            self.readCursor = membership.member.readCursor
        }
    }

    /// The maximum number of catalog reads for one page. Recently ended conversations are skipped,
    /// and there may be many.
    private static let catalogReadLimit = 4
    /// The count of unread messages stops at this number.
    private static let unreadLimit = 1000
    /// A page ends before the next item if it has so many bytes already.
    private static let pageByteLimit = 1 << 20
    /// The most participants in an item of a list.
    private static let participantLimit = 50

    func list(_ query: ListQuery, for caller: RoomsCaller, ifNoneMatch: String?)
        async throws(HTTPError) -> HTTPResponse
    {
        let own = try await self.ownEntries(query, caller)
        let (found, next) =
            try await query.isOwn
            ? self.ownPage(own, query, caller) : self.page(own, query, caller)
        var cursor = next.map(CatalogCursor.encode)
        let hasToken = caller.identity != nil
        return Self.revalidatedResponse(ifNoneMatch: ifNoneMatch) { text in
            text.append(#","conversations":["#)
            for (index, listed) in found.enumerated() {
                guard text.count < Self.pageByteLimit else {
                    cursor = CatalogCursor.encode(found[index - 1].entry.cursor)
                    break
                }
                if index > 0 { text.append(",") }
                text.append(
                    room: listed.entry.id, listed.description,
                    messageCount: listed.description.head, lastMessage: listed.lastMessage,
                    participantLimit: Self.participantLimit
                ) {
                    if hasToken { $0.append(unreadOf: listed.entry.membership) }
                }
            }
            text.append(#"],"next_cursor":"#)
            if let cursor { text.append(jsonString: cursor) } else { text.append("null") }
        }
    }

    /// All conversations in which the user of a token is a member, in the order of the list.
    private func ownEntries(_ query: ListQuery, _ caller: RoomsCaller) async throws(HTTPError)
        -> [ListEntry]
    {
        guard caller.identity != nil else {
            if query.isOwn { _ = try caller.provenPrincipal() }
            return []
        }
        var entries: [ListEntry] = []
        var cursor: ByteString?
        repeat {
            let page = try await self.readMemberships(
                of: caller.viewer.person.id, after: cursor, unreadLimit: Self.unreadLimit,
                for: caller)
            for membership in page.memberships
            where !membership.key.isInbox
                && (query.includesEnded || membership.record.endedAt == nil)
            {
                let record = membership.record
                let time = query.isOwn ? record.updatedAt : record.createdAt
                entries.append(
                    ListEntry(
                        cursor: PageCursor(time: time, id: membership.key.id),
                        membership: OwnMembership(membership)))
            }
            cursor = page.next
        } while cursor != nil
        return entries.sorted { $1.cursor < $0.cursor }
    }

    private func ownPage(_ own: [ListEntry], _ query: ListQuery, _ caller: RoomsCaller)
        async throws(HTTPError) -> ([ListedConversation], next: PageCursor?)
    {
        let rest = own.drop { entry in query.after.map { entry.cursor >= $0 } ?? false }
        let entries = rest.prefix(query.limit)
        let next = rest.count > entries.count ? entries.last?.cursor : nil
        return (try await self.describe(Array(entries), for: caller), next)
    }

    /// A page of the catalog and of the user's own conversations together, newest created first.
    private func page(_ own: [ListEntry], _ query: ListQuery, _ caller: RoomsCaller)
        async throws(HTTPError) -> ([ListedConversation], next: PageCursor?)
    {
        let ownIDs = Set(own.map(\.id))
        var found: [ListedConversation] = []
        var next = query.after
        // One entry more than the limit shows whether there is another page.
        for _ in 0..<Self.catalogReadLimit where found.count <= query.limit {
            let wanted = query.limit + 1 - found.count
            let request = StoreRequest.catalog(tenant: caller.tenant, after: next, limit: wanted)
            guard case .catalog(let page) = try await self.read(request) else {
                throw .chatUnavailable
            }
            var entries = page.entries.filter { !ownIDs.contains($0.key.id) }.map {
                ListEntry(cursor: PageCursor(time: $0.record.createdAt, id: $0.key.id))
            }
            entries += own.filter { entry in
                next.map { entry.cursor < $0 } ?? true
                    && page.next.map { entry.cursor >= $0 } ?? true
            }
            entries.sort { $1.cursor < $0.cursor }
            next = entries.count > wanted ? entries[wanted - 1].cursor : page.next
            found += try await self.describe(Array(entries.prefix(wanted)), for: caller)
            if next == nil { break }
        }
        if found.count > query.limit {
            found = Array(found.prefix(query.limit))
            next = found.last?.entry.cursor
        }
        return (found, next)
    }

    /// Queries the owners of all conversations concurrently and keeps the order of the entries:
    /// only owners know the participants and who is online.
    private func describe(_ entries: [ListEntry], for caller: RoomsCaller) async throws(HTTPError)
        -> [ListedConversation]
    {
        let found = await withTaskGroup(of: FoundConversation.self) { group in
            for (index, entry) in entries.enumerated() {
                group.addTask { await self.found(entry, at: index, for: caller) }
            }
            var found: [FoundConversation] = []
            for await conversation in group { found.append(conversation) }
            return found.sorted { $0.index < $1.index }
        }
        var listed: [ListedConversation] = []
        for conversation in found {
            if let error = conversation.error { throw error }
            if let conversation = conversation.listed { listed.append(conversation) }
        }
        return listed
    }

    /// The answer about a conversation, and its place in the list. It has a type, because optimised
    /// code of Swift 6.3 returns wrong indices in a tuple with a `Result`.
    private struct FoundConversation: Sendable {
        let index: Int
        var listed: ListedConversation?
        var error: HTTPError?
    }

    private func found(_ entry: ListEntry, at index: Int, for caller: RoomsCaller) async
        -> FoundConversation
    {
        do throws(HTTPError) {
            return FoundConversation(
                index: index, listed: try await self.listed(entry, for: caller))
        } catch {
            return FoundConversation(index: index, error: error)
        }
    }

    /// A conversation of the list; nil if it has ended, is not listed any more or has lost the user
    /// as a member since the list was read.
    private func listed(_ entry: ListEntry, for caller: RoomsCaller) async throws(HTTPError)
        -> ListedConversation?
    {
        let isMember = entry.membership != nil
        let mayBeEnded = entry.membership?.isEnded == true
        let query = ChatCommand.describe(
            by: caller.viewer, readAccess: isMember ? .membersOnly : .anyoneIfOpen,
            members: .shown(limit: Self.participantLimit))
        switch try await self.submit(query, in: entry.id, of: caller) {
        case .described(let description)
        where isMember && (mayBeEnded || description.record.endedAt == nil)
            || description.record.isInCatalog:
            return ListedConversation(
                entry: entry, description: description,
                lastMessage: try await self.lastMessage(
                    of: description, in: entry.id, for: caller))
        case .failed(.unavailable): throw .chatUnavailable
        default: return nil
        }
    }
}

extension ByteBuffer {
    /// Appends what the user has not read, each with a leading comma; nothing for a user that is no
    /// member.
    fileprivate mutating func append(unreadOf membership: RoomsAPI.OwnMembership?) {
        self.append(#","unread_count":"#)
        self.append(decimal: membership?.unreadCount ?? 0)
        self.append(#","unread_mentions":"#)
        self.append(decimal: membership?.unreadMentionCount ?? 0)
        self.append(#","last_read_id":"#)
        self.append(messageID: membership?.readCursor ?? 0, as: .string)
    }
}
