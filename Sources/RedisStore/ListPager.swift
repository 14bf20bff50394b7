import Bytes
import ChatModel

/// A page of a list that is being read: lines first, then what each of them stands for, and again while the page has room.
///
/// A value: it is told what was found, and says what is to be asked.
struct ListPager {
    let requester: PendingCommand.StoreRequester
    let request: StoreRequest
    let indexKey: StoreKeys.IndexKey
    let redisKey: ByteString
    private let tenant: ByteString
    private let limit: Int
    /// The lines of this look, and what each stands for.
    private(set) var entries: [PageCursor] = []
    private var summaries: [EntrySummary] = []
    private var missingSummaries = 0
    /// Behind which the next look begins.
    private(set) var cursor: PageCursor?
    private var hasMore = true
    private var scannedCount = 0
    private var memberships = MembershipPage()
    private var catalog = CatalogPage()
    /// Why there is no page.
    var failure: StoreFailure?

    /// What a line stands for.
    enum EntrySummary {
        /// No conversation, or none of the user's.
        case nothing
        case membership(ListedMembership)
        case catalogEntry(CatalogEntry)
        case damaged(StoreFailure)
    }

    /// So many lines are looked at for a page, be it full or not.
    private static let scanLimit = 1000
    /// What was ended is out of the list at once; its line goes when no failover can take back the end any more, which owners write again
    /// within a minute.
    private static let minimumEndedAge = Duration.seconds(60)

    /// Nil where the request names a place that no page has named.
    init?(
        _ request: StoreRequest, for asker: PendingCommand.StoreRequester, _ words: ScriptArguments
    ) {
        switch request {
        case .memberships(let user, let tenant, let after, let limit, _):
            self.indexKey = .memberships(user, tenant)
            self.tenant = tenant
            self.limit = StoreRequest.clampedListLimit(limit)
            if let after {
                guard let place = PageCursor(after) else { return nil }
                self.cursor = place
            }
        case .catalog(let tenant, let after, let limit):
            self.indexKey = .catalog(tenant)
            self.tenant = tenant
            self.limit = StoreRequest.clampedListLimit(limit)
            self.cursor = after
        default:
            return nil
        }
        self.redisKey = words.key(of: self.indexKey)
        self.requester = asker
        self.request = request
    }

    var isCatalog: Bool { if case .catalog = self.indexKey { true } else { false } }

    private var count: Int { self.memberships.memberships.count + self.catalog.entries.count }

    /// How many lines the next look is to take into the page.
    private var wantedCount: Int {
        min(self.limit - self.count, Self.scanLimit - self.scannedCount)
    }

    /// How many lines are to be asked for: one more, which says that there is more.
    var entryLimit: Int { self.wantedCount + 1 }

    func conversation(at place: Int) -> ConversationKey {
        ConversationKey(tenant: self.tenant, id: self.entries[place].id)
    }

    /// The lines of a look have been found.
    mutating func beginBatch(_ lines: [PageCursor]) {
        self.hasMore = lines.count > self.wantedCount
        self.entries = Array(lines.prefix(self.wantedCount))
        self.cursor = self.entries.last ?? self.cursor
        self.scannedCount += self.entries.count
        self.summaries = Array(repeating: .nothing, count: self.entries.count)
        self.missingSummaries = self.entries.count
    }

    /// - Parameter sight: nil where nothing could be found out.
    mutating func record(_ sight: EntrySummary?, at place: Int) {
        self.summaries[place] = sight ?? .nothing
        self.missingSummaries -= 1
    }

    /// Whether all of this look is known.
    var isBatchComplete: Bool { self.missingSummaries == 0 }

    /// Takes this look into the page.
    ///
    /// - Returns: lines that stand for nothing, and may be taken out.
    mutating func finishBatch(at now: Timestamp, staleEntryAge lineAge: Duration) -> [PageCursor] {
        var stale: [PageCursor] = []
        for (line, sight) in zip(self.entries, self.summaries) {
            let isOld = Self.age(line.time, now) >= lineAge
            switch sight {
            case .nothing: if isOld { stale.append(line) }
            case .membership(let membership): self.memberships.memberships.append(membership)
            case .catalogEntry(let entry) where entry.record.isInCatalog:
                self.catalog.entries.append(entry)
            case .catalogEntry(let entry):
                let isOver =
                    entry.record.endedAt.map {
                        Self.age($0, now) >= min(lineAge, Self.minimumEndedAge)
                    } ?? isOld
                if isOver { stale.append(line) }
            case .damaged(let failure):
                self.memberships.damaged.append(failure)
                self.catalog.damaged.append(failure)
            }
        }
        return stale
    }

    private static func age(_ moment: Timestamp, _ now: Timestamp) -> Duration {
        .milliseconds(now.milliseconds - moment.milliseconds)
    }

    /// Whether the page is as full as it gets.
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
