public import Bytes

/// The port to the storage of conversations. SQLite, memory and Redis implement it.
///
/// Requests never wait for each other's answers. Writes are applied in the order in which a loop
/// submitted them. A read may overtake earlier writes.
public protocol ChatStore: Sendable {
    /// Executes a request and answers `client` once: later on any thread, or at once on this one.
    func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient)
}

/// A loop that submits requests to a store.
public protocol StoreClient: AnyObject, Sendable {
    /// Called on any thread, even from within `submit`. It only hands the answer over to the loop.
    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket)
}

/// Identifies the request that an answer belongs to.
public struct StoreTicket: RawRepresentable, Sendable, Hashable, ExpressibleByIntegerLiteral {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public init(integerLiteral value: UInt64) {
        self.rawValue = value
    }
}

/// The fencing number of a shard's ownership. Every claim raises it, and the store refuses writes
/// under a lower one.
public typealias Epoch = Int

public enum StoreRequest: Sendable {
    /// Claims a shard: the store refuses the writes of its previous owner from then on.
    ///
    /// The store also refuses a claim under an earlier view than that of the last claim. Otherwise
    /// a node that was suspended could take back a shard that it no longer owns. View 0 is the
    /// earliest.
    case claim(shard: Int, owner: LoopID, view: Int = 0)
    /// Reads everything of a conversation except its messages.
    case load(ConversationKey)
    /// Reads the authors, times and client message ids of the newest messages.
    case recent(ConversationKey, limit: Int)
    case write(WriteBatch)
    /// Reads messages, with the messages to which they reply, and with the threads that they begin.
    case page(ConversationKey, PageRange, limit: PageLimit)
    /// Reads a thread: its root and the replies, as a page of these messages.
    case thread(ConversationKey, root: SequenceNumber, PageRange, limit: PageLimit)
    /// Reads the newest messages below a number that match a query: a page of these messages only.
    /// The answer is `found`, `searchRefused` or `cannotSearch`. A store searches on a thread that
    /// does nothing else, at most half of the time, and answers nothing else later because of it.
    indirect case search(
        ConversationKey, SearchQuery, before: SequenceNumber?, limit: Int,
        permit: SearchPermit? = nil)
    /// Reads what has changed since a revision: messages above a number, and older ones that were
    /// amended, in the order of their last changes. The limit applies to the messages; the amended
    /// ones are complete.
    case changes(ConversationKey, after: SequenceNumber, since: Revision, limit: Int)
    /// Reads messages up to a number that were amended since a revision, in the order of
    /// their last changes. The first of them are returned, each once, as `amended` of a page
    /// without other messages.
    case amended(ConversationKey, through: SequenceNumber, since: Revision, limit: PageLimit)
    /// Counts the messages above a number that other users wrote and that are not deleted.
    case unread(ConversationKey, after: SequenceNumber, by: UserID)
    /// Reads a user's memberships in a tenant, as a list shows them. `after` is nil for the first
    /// page, and `next` of the previous page for each later one.
    ///
    /// A lasting membership is on at least one of the pages, even if others come and go. It may be
    /// on two pages if it was written between them.
    case memberships(
        of: UserID, tenant: ByteString, after: ByteString?, limit: Int, unreadLimit: Int)
    /// Reads a tenant's catalog, newest conversation first. A conversation that stays in the
    /// catalog is on exactly one page, even if others come and go.
    case catalog(tenant: ByteString, after: PageCursor?, limit: Int)
    /// Reads the numbers by which some protocols identify a tenant's users, in the order of the
    /// users. A user without a number gets the tenant's next one, from `firstUserNumber` up. The
    /// number is permanent and belongs to no other user.
    case numbers(of: [UserID], tenant: ByteString)
    /// Reads the users with these numbers, in the same order; nil for a number without a user.
    case users(numbered: [Int], tenant: ByteString)
    /// Returns a number that this tenant has not used before: 1, 2, 3 …, perhaps with gaps.
    case nextNumber(tenant: ByteString)
    /// Reads all bans, including those that have ended.
    case bans
    /// Stores a ban in place of an earlier one for the same subject. The answer is `done`.
    ///
    /// A store with `Ban.countLimit` bans removes those that had ended when this one began, and
    /// fails if that frees no place.
    indirect case ban(Ban)
    /// Removes the ban for a subject. The answer says whether there was one.
    case unban(Ban.Subject)
    /// Reads the ids of all conversations, in no particular order. `after` is nil for the first
    /// page, and `next` of the previous page for each later one.
    ///
    /// A conversation that exists throughout is on at least one of the pages, and with Redis
    /// perhaps on two. It is missed if Redis Cluster moves its slot meanwhile.
    case conversations(after: ByteString?, limit: Int)
    /// Looks for faults of a conversation's stored state that reading its messages does not show.
    case examine(ConversationKey)
    /// Repairs those of the faults for which the correct state is certain. The store refuses a
    /// repair under another epoch than the current one of the conversation's shard.
    case repair(ConversationKey, owner: LoopID, epoch: Epoch)
    /// Checks that the store works, by a real read and, where there is one, a real write. The
    /// answer is `done`.
    case probe
    /// Reads or changes the outbox. A store without an `OutboxWriter` has an empty one.
    indirect case outbox(OutboxRequest)
}

public enum StoreAnswer: Sendable {
    case claimed(Epoch)
    /// The claim was refused: the shard was claimed under this later view.
    case outdated(view: Int)
    /// Nil if the conversation does not exist.
    case loaded(LoadedConversation?)
    /// Oldest first.
    case recent([RecentMessage])
    case written(WriteOutcome)
    case page(MessagePage)
    case found(SearchPage)
    case searchRefused(SearchRefusal)
    /// This store has no search.
    case cannotSearch
    case unread(Int)
    case memberships(MembershipPage)
    case catalog(CatalogPage)
    case numbers([Int])
    case users([UserID?])
    case number(Int)
    /// The bans that can be read. The failures name those that cannot.
    case bans([Ban], damaged: [StoreFailure] = [])
    case unbanned(Bool)
    case conversations(ConversationKeyPage)
    /// The answer to `examine` and to `repair`.
    case examined(StoredFaults)
    case outbox(OutboxAnswer)
    case done
    /// The request failed and may be retried; the text is for the log. `effect` says what became of
    /// its writes.
    case failed(StoreFailure)
}
