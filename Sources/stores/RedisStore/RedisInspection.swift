import Bytes
import ChatModel
import RedisClient

/// The faults of one conversation, from the reply of `StoreScripts.examine`. A value: it says
/// which index entries to look for, and what to write.
struct RedisInspection {
    /// An index entry that the conversation needs.
    struct NeededEntry {
        let index: StoreKeys.IndexKey
        let score: Int64
        /// The fault, if the entry is missing.
        let fault: String
    }

    /// The stored state: format, revision, head, time of the last change.
    let state: String
    /// The state that the messages behind the head imply; nil without such messages.
    let followingState: String?
    let isBroken: Bool
    let behindCount: Int
    let amendmentRevision: Int
    let impliedAmendmentRevision: Int
    private(set) var neededEntries: [NeededEntry] = []

    /// Nil if the conversation does not exist.
    init?(_ reply: RedisValue, of key: ConversationKey) {
        guard let state = reply[0].text else { return nil }
        let following = reply[1].text ?? ""
        self.state = state
        self.isBroken = following == "broken"
        self.followingState = following.isEmpty || following == "broken" ? nil : following
        self.behindCount = reply[2].number ?? 0
        self.amendmentRevision = reply[3].number ?? 0
        self.impliedAmendmentRevision = reply[4].number ?? 0
        if let created = reply[5].number {
            self.neededEntries.append(
                NeededEntry(
                    index: .catalog(key.tenant), score: Int64(created),
                    fault: "the catalog of tenant \(key.tenant) lacks the conversation"))
        }
        var position = 0
        while let member = reply[6][position].text {
            let user = UserID(storageKey: ByteString(member))
            self.neededEntries.append(
                NeededEntry(
                    index: .memberships(user, key.tenant),
                    score: Int64(reply[6][position + 1].number ?? 0),
                    fault: "the list of \(user.displayID) lacks the conversation"))
            position += 2
        }
    }

    private var head: Int { LayoutReader.parseHead(self.state)?.head ?? 0 }

    /// Whether the hash must be written again.
    var hasStateFault: Bool {
        self.followingState != nil || self.impliedAmendmentRevision > self.amendmentRevision
    }

    /// The state to write.
    var repairedState: String { self.followingState ?? self.state }
    var repairedAmendmentRevision: Int {
        max(self.amendmentRevision, self.impliedAmendmentRevision)
    }

    /// - Parameter missing: the needed entries that do not exist.
    func faults(missing: [NeededEntry]) -> StoredFaults {
        var faults = StoredFaults()
        if self.followingState != nil {
            faults.repairable.append(
                """
                the record is at message \(self.head), and the stream has \
                \(self.behindCount) more
                """)
        }
        if self.isBroken {
            faults.unrepairable.append(
                """
                the stream has messages behind the record's \(self.head) that do not follow each \
                other: the right order is unknown
                """)
        }
        if self.impliedAmendmentRevision > self.amendmentRevision {
            faults.repairable.append(
                """
                the record names \(self.amendmentRevision) as the last edit; edits go up to \
                \(self.impliedAmendmentRevision)
                """)
        }
        faults.repairable += missing.map(\.fault)
        return faults
    }
}
