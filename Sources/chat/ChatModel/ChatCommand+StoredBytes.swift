internal import Bytes

extension ChatCommand {
    /// Whether the command may store something that grows.
    public var storesBytes: Bool {
        switch self {
        case .delete, .unpin, .pins, .read, .readThrough, .typing, .leave, .removeMember, .receipts,
            .end, .describe:
            false
        case .post, .edit, .create, .joinAndSubscribe, .join, .addMember, .update, .react, .pin:
            true
        }
    }

    /// The bytes that the command stores, each copy counted, about.
    ///
    /// - Parameter inInbox: whether the conversation is an inbox.
    public func storedBytes(inInbox: Bool) -> Int {
        switch self {
        case .post(let body):
            let row = inInbox ? Self.inboxRowBytes : Self.rowBytes
            let mentions = body.annotations?.mentions
            let copies =
                mentions?.includesEveryone == true
                ? Self.copiesForEveryone : mentions?.users.count ?? 0
            return row + body.content.utf8.count + (body.metadata?.count ?? 0)
                + copies * Self.inboxRowBytes
        case .edit(_, let content, _): return Self.rowBytes + content.utf8.count
        case .create(let new):
            let record =
                Self.rowBytes + new.record.title.utf8.count
                + new.record.dialectData.byteCount
            return new.members.reduce(record) { $0 + Self.storedBytes(of: $1) }
        case .addMember(let person, _): return Self.storedBytes(of: person)
        case .joinAndSubscribe(let request), .join(let request):
            return Self.storedBytes(of: request.principal.person)
        case .update(let update, _):
            return Self.rowBytes + (update.title?.utf8.count ?? 0)
                + (update.dialectData?.byteCount ?? 0)
        case .react, .pin: return Self.rowBytes
        case .delete, .unpin, .pins, .read, .readThrough, .typing, .leave, .removeMember, .receipts,
            .end, .describe:
            return 0
        }
    }

    /// A row with its keys and index entries, without its texts.
    private static let rowBytes = 256
    /// As above, with the record of the inbox, which the first message to it creates.
    private static let inboxRowBytes = 1024
    /// The inboxes that a mention of all members reaches at most.
    private static let copiesForEveryone = 200

    /// The bytes of a membership.
    public static func storedBytes(of person: Person) -> Int {
        self.rowBytes + person.name.byteCount + 2 * person.id.storageKey.byteCount
    }
}
