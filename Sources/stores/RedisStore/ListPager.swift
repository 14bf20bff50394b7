import Bytes
import ChatModel

/// Identifies a list request in progress.
struct ListPagerID: Hashable, Sendable {
    let rawValue: UInt64
}

/// Reads one page of a list: a batch of index entries, then a summary of each, and further batches
/// while the page has room.
///
/// A value: it receives the replies and says what to request next.
struct ListPager {
    let requester: PendingCommand.StoreRequester
    let request: StoreRequest
    let indexKey: StoreKeys.IndexKey
    let redisKey: ByteString
    private let tenant: ByteString
    private let limit: Int
    /// The index entries of this batch, and the summary of each.
    private(set) var entries: [PageCursor] = []
    private var summaries: [EntrySummary] = []
    private var missingSummaries = 0
    /// The next batch begins behind this entry.
    private(set) var cursor: PageCursor?
    private var hasMore = true
    private var scannedCount = 0
    private var memberships = MembershipPage()
    private var catalog = CatalogPage()
    /// Why the page cannot be read.
    var failure: StoreFailure?
    /// The failure is an interruption.
    var isInterrupted = false

    /// The conversation or membership that an index entry refers to.
    enum EntrySummary {
        /// The conversation does not exist, or the user is not a member.
        case nothing
        case membership(ListedMembership)
        case catalogEntry(CatalogEntry)
        case damaged(StoreFailure)
    }

    /// The maximum number of index entries read for one page.
    private static let scanLimit = 1000
    /// A catalog skips an ended conversation at once, but keeps its index entry for this long.
    /// Owners rewrite lost changes within a minute of a failover, so after that the end cannot be
    /// undone.
    private static let minimumEndedAge = Duration.seconds(60)

    /// Nil if the request's cursor is malformed.
    init?(
        _ request: StoreRequest, for requester: PendingCommand.StoreRequester,
        _ arguments: ScriptArguments
    ) {
        switch request {
        case .memberships(let user, let tenant, let after, let limit, _):
            self.indexKey = .memberships(user, tenant)
            self.tenant = tenant
            self.limit = StoreRequest.clampedListLimit(limit)
            if let after {
                guard let cursor = PageCursor(after) else { return nil }
                self.cursor = cursor
            }
        case .catalog(let tenant, let after, let limit):
            self.indexKey = .catalog(tenant)
            self.tenant = tenant
            self.limit = StoreRequest.clampedListLimit(limit)
            self.cursor = after
        default:
            return nil
        }
        self.redisKey = arguments.key(of: self.indexKey)
        self.requester = requester
        self.request = request
    }

    var isCatalog: Bool { if case .catalog = self.indexKey { true } else { false } }

    private var count: Int { self.memberships.memberships.count + self.catalog.entries.count }

    /// The number of entries that the next batch may add to the page.
    private var wantedCount: Int {
        min(self.limit - self.count, Self.scanLimit - self.scannedCount)
    }

    /// One entry more, to know whether others follow.
    var entryLimit: Int { self.wantedCount + 1 }

    func conversation(at position: Int) -> ConversationKey {
        ConversationKey(tenant: self.tenant, id: self.entries[position].id)
    }

    /// Starts a batch with the entries found.
    mutating func beginBatch(_ entries: [PageCursor]) {
        self.hasMore = entries.count > self.wantedCount
        self.entries = Array(entries.prefix(self.wantedCount))
        self.cursor = self.entries.last ?? self.cursor
        self.scannedCount += self.entries.count
        self.summaries = Array(repeating: .nothing, count: self.entries.count)
        self.missingSummaries = self.entries.count
    }

    /// - Parameter summary: nil if it could not be read.
    mutating func record(_ summary: EntrySummary?, at position: Int) {
        self.summaries[position] = summary ?? .nothing
        self.missingSummaries -= 1
    }

    /// Whether all summaries of the batch are known.
    var isBatchComplete: Bool { self.missingSummaries == 0 }

    /// Adds the batch to the page.
    ///
    /// - Returns: stale entries, which can be removed from the index.
    mutating func finishBatch(at now: Timestamp, staleEntryAge: Duration) -> [PageCursor] {
        var stale: [PageCursor] = []
        for (entry, summary) in zip(self.entries, self.summaries) {
            let isOld = Self.age(entry.time, now) >= staleEntryAge
            switch summary {
            case .nothing: if isOld { stale.append(entry) }
            case .membership(let membership): self.memberships.memberships.append(membership)
            case .catalogEntry(let listed) where listed.record.isInCatalog:
                self.catalog.entries.append(listed)
            case .catalogEntry(let listed):
                // The entry of a conversation that is not listed any more stays until the end: if
                // the conversation was listed again meanwhile, the removal would hide it.
                let isExpired =
                    listed.record.endedAt.map {
                        Self.age($0, now) >= min(staleEntryAge, Self.minimumEndedAge)
                    } ?? false
                if isExpired { stale.append(entry) }
            case .damaged(let failure):
                self.memberships.damaged.append(failure)
                self.catalog.damaged.append(failure)
            }
        }
        return stale
    }

    private static func age(_ time: Timestamp, _ now: Timestamp) -> Duration {
        .milliseconds(now.milliseconds - time.milliseconds)
    }

    /// Whether the page is full or cannot be continued.
    var isComplete: Bool { self.failure != nil || !self.hasMore || self.wantedCount <= 0 }

    var answer: StoreAnswer {
        if let failure { return .failed(failure) }
        if self.isCatalog {
            var page = self.catalog
            page.next = self.hasMore ? self.cursor : nil
            return .catalog(page)
        }
        var page = self.memberships
        page.next = self.hasMore ? self.cursor?.text : nil
        return .memberships(page)
    }
}
