/// A conversation in its tenant's catalog: a listed one that has not ended.
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

/// A page of a tenant's catalog.
public struct CatalogPage: Sendable {
    /// Newest conversation first.
    public var entries: [CatalogEntry] = []
    /// The cursor of the next page; nil on the last page. A page that is not the last may be empty.
    public var next: PageCursor?
    /// Conversations that are left out because their stored data is damaged.
    public var damaged: [StoreFailure] = []

    public init() {}
}
