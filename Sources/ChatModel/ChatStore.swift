public import Bytes

/// Where conversations are kept: the port that SQLite, memory and Redis fill.
///
/// Requests never wait for each other's answers; writes are done in the order in which a loop submitted them.
public protocol ChatStore: Sendable {
    /// Takes a request and answers it, once, to `client`: later from any thread, or at once from this one.
    func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient)
}

/// Who asked: a loop.
public protocol StoreClient: AnyObject, Sendable {
    /// Called from any thread, also from within `submit`; only hands over.
    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket)
}

/// Says which request an answer belongs to.
public typealias StoreTicket = UInt64

/// The fencing number of a shard's ownership: every claim raises it, and writes under a lower one are refused.
public typealias Epoch = Int

public enum StoreRequest: Sendable {
    /// Become the owner of a shard: whoever held it before is refused from then on. So is a claim under an earlier view than that of the
    /// claim before it: a node that has stood still must not take from the owner what it owns no longer. 0 is earlier than all.
    case claim(shard: Int, owner: LoopID, view: Int = 0)
    /// Everything about a conversation but its messages.
    case load(ConversationKey)
    /// Who sent the newest messages, when and under which client ids.
    case recent(ConversationKey, limit: Int)
    case write(WriteBatch)
    case page(ConversationKey, PageRange, limit: Int)
    /// What has changed since a revision: messages above a number, and older ones that were edited or deleted since. The limit
    /// is that of the messages; the amended ones come whole.
    case changes(ConversationKey, after: SequenceNumber, since: Revision, limit: Int)
    /// Messages up to a number that were edited or deleted since a revision, in the order of their last changes: the first of them, and each
    /// once, as `amended` of a page that has nothing else.
    case amended(ConversationKey, through: SequenceNumber, since: Revision, limit: Int)
    /// How many messages above a number others than this user wrote; deleted ones do not count.
    case unread(ConversationKey, after: SequenceNumber, by: UserID)
    /// What a user is a member of in a tenant, with what a list shows of it. `after` is nil for the first page, and then what the page before
    /// names as `next`.
    ///
    /// Whatever comes and goes meanwhile, who stays a member is met in one of the pages; in another too, perhaps, where its membership
    /// was written between them.
    case memberships(
        of: UserID, tenant: ByteString, after: ByteString?, limit: Int, unreadLimit: Int)
    /// What is in a tenant's catalog, newest made first. Whatever comes and goes meanwhile, what stays in it is met once.
    case catalog(tenant: ByteString, after: PageCursor?, limit: Int)
    /// The numbers by which some protocols know users of a tenant, in the order of the users. Who has none gets the next one of the tenant's,
    /// from `firstUserNumber` on: for good, and nobody else's.
    case numbers(of: [UserID], tenant: ByteString)
    /// Whose numbers these are, in their order; nil where one is nobody's.
    case users(numbered: [Int], tenant: ByteString)
    /// A number that this tenant has not counted to before: 1, 2, 3 …, perhaps with holes.
    case nextNumber(tenant: ByteString)
    /// Does it work? Answered with `done` by a real read and, where there is one, a real write.
    case probe
}

public enum StoreAnswer: Sendable {
    case claimed(Epoch)
    /// The claim was refused: the shard was claimed under this view, which is a later one.
    case outdated(view: Int)
    /// Nil: there is no such conversation.
    case loaded(LoadedConversation?)
    /// Oldest first.
    case recent([RecentMessage])
    case written(WriteOutcome)
    case page(MessagePage)
    case unread(Int)
    case memberships(MembershipPage)
    case catalog(CatalogPage)
    case numbers([Int])
    case users([UserID?])
    case number(Int)
    case done
    /// The request was not done, and may be tried again; the sentence is for the log.
    case failed(StoreFailure)
}

/// Who writes: a loop of a node's one life.
public struct LoopID: Sendable, Hashable, CustomStringConvertible {
    public let incarnation: UInt64
    public let loop: UInt16

    public init(incarnation: UInt64, loop: UInt16) {
        self.incarnation = incarnation
        self.loop = loop
    }

    public var description: String { "\(String(self.incarnation, radix: 36)).\(self.loop)" }
}

/// What several conversations of one owner want written, in order.
public struct WriteBatch: Sendable {
    public let owner: LoopID
    public var writes: [Write]
    /// What other nodes hear in the same step if all of the batch is stored, and never else. A relay packs them, where the store can
    /// carry them; a store of one node has none.
    public var publications: [Publication] = []

    public init(owner: LoopID, writes: [Write]) {
        self.owner = owner
        self.writes = writes
    }
}

/// Bytes for whoever listens at a channel of the server that the store is in.
public struct Publication: Sendable {
    public let channel: ByteString
    public let payload: [UInt8]

    public init(channel: ByteString, payload: [UInt8]) {
        self.channel = channel
        self.payload = payload
    }
}

/// One durable change of one conversation.
public struct Write: Sendable {
    public let conversation: ConversationKey
    public let shard: Int
    public let epoch: Epoch
    /// The revision that this change makes, one above the stored one; 0 for a change that makes none (cursors).
    public let revision: Revision
    public let change: Change

    public init(
        conversation: ConversationKey, shard: Int, epoch: Epoch, revision: Revision, change: Change
    ) {
        self.conversation = conversation
        self.shard = shard
        self.epoch = epoch
        self.revision = revision
        self.change = change
    }

    /// What does not belong to a conversation that is stored up to the revision before is refused as out of step: anything but a
    /// creation where there is none, and a creation where there is one.
    public enum Change: Sendable {
        /// The first of all, of revision 1.
        case create(ConversationRecord)
        /// The next message; its number is one above the stored head.
        case message(Message)
        /// A message that is there gets other words, or loses them; nothing else of it changes, and one that is deleted stays so. Of a
        /// message that is no longer kept only the revision is noted.
        case amend(Message, at: Timestamp)
        /// A member comes or changes.
        case member(Member)
        case remove(UserID)
        /// Neither cursor moves back; of whom is no member nothing is kept.
        case cursors(UserID, read: SequenceNumber, delivered: SequenceNumber)
        case end(at: Timestamp)
        /// Nothing but the revision, which another change had that nobody has any more.
        case skip
    }
}

/// What became of a batch.
public enum WriteOutcome: Sendable, Equatable {
    /// All of it is stored, as safely as the store is set up.
    case stored
    /// The writes with these places in the batch were refused, and with each all later ones of its conversation; the others are stored.
    case refused([Int: WriteRefusal])
}

/// Why a write was refused.
public enum WriteRefusal: Sendable, Equatable {
    /// Another has claimed the shard, under this epoch; 0: nobody ever has.
    case fenced(Epoch)
    /// It may be stored, but not where it would outlive a failover: whoever goes on from it must claim first, which confirms it too.
    case unconfirmed
    /// The stored revision or head is not what the write expected.
    case revisionMismatch(stored: Revision)
    /// The conversation's stored data cannot be understood.
    case damaged
    /// The server that has this conversation did not do it; the other writes of the batch are with other servers.
    case failed(StoreFailure)
}

/// Why a store did not do a request: a sentence for operators that names file and cause.
public struct StoreFailure: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    /// It is about what is kept of one conversation, user, tenant or shard, or about this one request: others are served as ever.
    public let isRequestSpecific: Bool
    /// What became of the writes of the request.
    public let effect: Effect

    public enum Effect: Sendable {
        /// Nothing is written, and nothing will be. The same request may succeed in a moment.
        case none
        /// As `none`; the store takes no writes until an operator, or a failover, changes that.
        case rejected
        /// The writes may be done or not, or may be done later under the epoch that they carry.
        case unknown
    }

    public init(
        _ description: String, isRequestSpecific isOfOneConversation: Bool = false,
        effect: Effect = .unknown
    ) {
        self.description = description
        self.isRequestSpecific = isOfOneConversation
        self.effect = effect
    }
}

/// A conversation as its next owner finds it.
public struct LoadedConversation: Sendable {
    public var record: ConversationRecord
    public var head: SequenceNumber
    public var revision: Revision
    /// The oldest message that is kept; head + 1 where none is.
    public var oldest: SequenceNumber
    public var members: [Member]

    public init(
        record: ConversationRecord, head: SequenceNumber, revision: Revision,
        oldest: SequenceNumber, members: [Member]
    ) {
        self.record = record
        self.head = head
        self.revision = revision
        self.oldest = oldest
        self.members = members
    }
}

/// What an owner must know of a message to recognise its repetition and to mark its receipts.
public struct RecentMessage: Sendable {
    public let sequence: SequenceNumber
    public let author: UserID
    public let clientMessageID: ClientMessageID?
    public let sentAt: Timestamp

    public init(
        sequence: SequenceNumber, author: UserID, clientMessageID clientID: ClientMessageID?,
        sentAt: Timestamp
    ) {
        self.sequence = sequence
        self.author = author
        self.clientMessageID = clientID
        self.sentAt = sentAt
    }
}

/// Which messages a page has.
public enum PageRange: Sendable, Equatable {
    /// The newest ones.
    case newest
    /// The newest below this number.
    case before(SequenceNumber)
    /// The oldest above this number.
    case after(SequenceNumber)
}

/// Messages, always oldest first.
public struct MessagePage: Sendable {
    public var messages: [Message]
    /// Messages that were edited or deleted since the revision asked for; empty for a plain page.
    public var amended: [Message]
    /// As stored when the page was read: the newest message, the oldest that is kept, the last change.
    public var head: SequenceNumber
    public var oldest: SequenceNumber
    public var revision: Revision

    public init(
        messages: [Message], amended: [Message] = [], head: SequenceNumber, oldest: SequenceNumber,
        revision: Revision
    ) {
        self.messages = messages
        self.amended = amended
        self.head = head
        self.oldest = oldest
        self.revision = revision
    }
}
