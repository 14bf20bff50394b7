/// A conversation as it stands in its tenant's catalog, which has those that are to be found by anybody and are not ended.
public struct CatalogEntry: Sendable {
    public var key: ConversationKey
    public var record: ConversationRecord
    public var head: SequenceNumber

    public init(key: ConversationKey, record: ConversationRecord, head: SequenceNumber) {
        self.key = key
        self.record = record
        self.head = head
    }
}

/// Some of a tenant's catalog.
public struct CatalogPage: Sendable {
    /// Newest made first.
    public var entries: [CatalogEntry] = []
    /// Behind which the next page begins; nil: this is the last one. A page that is not the last may have nothing in it.
    public var next: PageCursor?
    /// Conversations that cannot be shown, because what is kept of them is not what was stored.
    public var damaged: [StoreFailure] = []

    public init() {}
}
