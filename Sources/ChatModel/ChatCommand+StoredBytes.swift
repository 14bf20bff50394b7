internal import Bytes

extension ChatCommand {
    /// What a row of a store needs besides its texts, about.
    private static let rowBytes = 128
    /// The copies that a mention of all members makes at most.
    private static let copiesOfMentionOfAll = 200

    /// About how many bytes the command stores, each copy counted. 0 if it stores nothing that
    /// grows.
    public var storedBytes: Int {
        switch self {
        case .post(let body):
            var copies = body.annotations?.mentions?.users.count ?? 0
            if body.annotations?.mentions?.includesEveryone == true {
                copies = Self.copiesOfMentionOfAll
            }
            return body.content.utf8.count + (body.metadata?.count ?? 0)
                + Self.rowBytes * (1 + copies)
        case .edit(_, let content, _): return content.utf8.count + Self.rowBytes
        case .create(let new):
            return new.members.reduce(
                new.title.utf8.count + new.dialectData.byteCount + Self.rowBytes
            ) { $0 + Self.bytes(of: $1) }
        case .joinAndSubscribe(let request), .join(let request):
            return Self.bytes(of: request.principal.person)
        case .addMember(let person, _): return Self.bytes(of: person)
        case .react, .pin: return Self.rowBytes
        case .delete, .unpin, .pins, .read, .readThrough, .typing, .leave, .removeMember, .end,
            .describe:
            return 0
        }
    }

    private static func bytes(of person: Person) -> Int {
        self.rowBytes + person.name.byteCount + person.id.storageKey.byteCount
    }
}
