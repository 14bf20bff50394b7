import Bytes
import ChatModel

/// A page of a list that is being read: lines first, then what each of them stands for, and again while the page has room.
///
/// A value: it is told what was found, and says what is to be asked.
struct ListReading {
    let asker: StoreCall.Asker
    let request: StoreRequest
    let shelf: StoreKeys.Shelf
    let key: ByteString
    private let tenant: ByteString
    private let limit: Int
    /// The lines of this look, and what each stands for.
    private(set) var lines: [ListPlace] = []
    private var sights: [Sight] = []
    private var sightsMissing = 0
    /// Behind which the next look begins.
    private(set) var place: ListPlace?
    private var isMore = true
    private var looked = 0
    private var memberships = MembershipPage()
    private var catalog = CatalogPage()
    /// Why there is no page.
    var failure: StoreFailure?

    /// What a line stands for.
    enum Sight {
        /// No conversation, or none of the user's.
        case nothing
        case membership(ListedMembership)
        case entry(CatalogEntry)
        case damaged(StoreFailure)
    }

    /// So many lines are looked at for a page, be it full or not.
    private static let lookLimit = 1000
    /// What was ended is out of the list at once; its line goes when no failover can take back the end any more, which owners write again
    /// within a minute.
    private static let endedAge = Duration.seconds(60)

    /// Nil where the request names a place that no page has named.
    init?(_ request: StoreRequest, for asker: StoreCall.Asker, _ words: StoreWords) {
        switch request {
        case .memberships(let user, let tenant, let after, let limit, _):
            self.shelf = .memberships(user, tenant)
            self.tenant = tenant
            self.limit = StoreRequest.listed(limit)
            if let after {
                guard let place = ListPlace(after) else { return nil }
                self.place = place
            }
        case .catalog(let tenant, let after, let limit):
            self.shelf = .catalog(tenant)
            self.tenant = tenant
            self.limit = StoreRequest.listed(limit)
            self.place = after
        default:
            return nil
        }
        self.key = words.name(of: self.shelf)
        self.asker = asker
        self.request = request
    }

    var isCatalog: Bool { if case .catalog = self.shelf { true } else { false } }

    private var count: Int { self.memberships.memberships.count + self.catalog.entries.count }

    /// How many lines the next look is to take into the page.
    private var wanted: Int { min(self.limit - self.count, Self.lookLimit - self.looked) }

    /// How many lines are to be asked for: one more, which says that there is more.
    var lineLimit: Int { self.wanted + 1 }

    func conversation(at place: Int) -> ConversationKey { ConversationKey(tenant: self.tenant, id: self.lines[place].id) }

    /// The lines of a look have been found.
    mutating func begin(_ lines: [ListPlace]) {
        self.isMore = lines.count > self.wanted
        self.lines = Array(lines.prefix(self.wanted))
        self.place = self.lines.last ?? self.place
        self.looked += self.lines.count
        self.sights = Array(repeating: .nothing, count: self.lines.count)
        self.sightsMissing = self.lines.count
    }

    /// - Parameter sight: nil where nothing could be found out.
    mutating func note(_ sight: Sight?, at place: Int) {
        self.sights[place] = sight ?? .nothing
        self.sightsMissing -= 1
    }

    /// Whether all of this look is known.
    var isLookDone: Bool { self.sightsMissing == 0 }

    /// Takes this look into the page.
    ///
    /// - Returns: lines that stand for nothing, and may be taken out.
    mutating func finishLook(at now: Timestamp, lineAge: Duration) -> [ListPlace] {
        var stale: [ListPlace] = []
        for (line, sight) in zip(self.lines, self.sights) {
            let isOld = Self.age(line.moment, now) >= lineAge
            switch sight {
            case .nothing: if isOld { stale.append(line) }
            case .membership(let membership): self.memberships.memberships.append(membership)
            case .entry(let entry) where entry.record.isInCatalog: self.catalog.entries.append(entry)
            case .entry(let entry):
                let isOver = entry.record.endedAt.map { Self.age($0, now) >= min(lineAge, Self.endedAge) } ?? isOld
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
    var isDone: Bool { self.failure != nil || !self.isMore || self.wanted <= 0 }

    var answer: StoreAnswer {
        if let failure { return .failed(failure) }
        if self.isCatalog {
            var page = self.catalog
            page.next = self.isMore ? self.place : nil
            return .catalog(page)
        }
        var page = self.memberships
        page.next = self.isMore ? self.place?.text : nil
        return .memberships(page)
    }
}
