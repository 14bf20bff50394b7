public import Bytes

/// An operator's order that a user may not use the service, or one conversation of it.
///
/// A ban does not end memberships: after its end the user continues where it stopped. So a ban
/// changes no conversation, and needs no owner and no revision.
public struct Ban: Sendable, Equatable {
    public let subject: Subject
    /// When the ban ends; nil for a ban without an end.
    public let until: Timestamp?
    /// The operator's text for the user; empty for none. At most `reasonLimit` characters.
    public let reason: String
    /// The name of the operator.
    public let operatorName: String
    public let since: Timestamp

    public static let reasonLimit = 200
    /// The most bans that a store keeps, so that every node can hold all of them in memory.
    public static let countLimit = 10_000

    /// The user, and the conversation or tenant, that a ban concerns. There is at most one ban for
    /// each subject.
    public struct Subject: Sendable, Hashable {
        public let tenant: ByteString
        /// The user's id as other users see it (`UserID.displayID`), because the operator sees no
        /// other. It stands for all anonymous users of that name.
        public let user: ByteString
        /// Nil for all conversations of the tenant.
        public let conversation: ByteString?

        public init(tenant: ByteString, user: ByteString, conversation: ByteString? = nil) {
            self.tenant = tenant
            self.user = user
            self.conversation = conversation
        }
    }

    public init(
        _ subject: Subject, until: Timestamp?, reason: String, by operatorName: String,
        since: Timestamp
    ) {
        self.subject = subject
        self.until = until
        self.reason = reason
        self.operatorName = operatorName
        self.since = since
    }

    public func isActive(at now: Timestamp) -> Bool { self.until.map { now < $0 } ?? true }

    /// The sentences that the user gets. The end is rounded up to a whole second.
    public var notice: String {
        let place = self.subject.conversation.map { " from conversation \($0)" } ?? ""
        let end = self.until.map { " until \(Self.text(of: $0))" } ?? ""
        return "You are banned\(place)\(end)." + (self.reason.isEmpty ? "" : " \(self.reason)")
    }

    /// RFC 3339 in UTC, in seconds.
    private static func text(of time: Timestamp) -> String {
        let second = (time.milliseconds + 999) / 1000
        return Timestamp(milliseconds: second * 1000).text.prefix(19) + "Z"
    }
}

/// All bans, as one event loop checks them.
public struct BanList: Sendable {
    private struct User: Hashable {
        let tenant: ByteString
        let user: ByteString
    }

    private var bans: [User: [Ban]] = [:]

    public init(_ bans: [Ban] = []) {
        for ban in bans {
            let user = User(tenant: ban.subject.tenant, user: ban.subject.user)
            self.bans[user, default: []].append(ban)
        }
    }

    /// Every message is checked, and most services have no bans.
    public var isEmpty: Bool { self.bans.isEmpty }

    /// The active ban of the user for the whole tenant.
    public func ban(of user: UserID, in tenant: ByteString, at now: Timestamp) -> Ban? {
        self.bans(of: user, in: tenant, at: now).first { $0.subject.conversation == nil }
    }

    /// The active ban that keeps the user out of the conversation: for the whole tenant, or for
    /// this conversation.
    public func ban(
        of user: UserID, from conversation: ConversationKey, at now: Timestamp
    ) -> Ban? {
        let bans = self.bans(of: user, in: conversation.tenant, at: now)
        return bans.first { $0.subject.conversation == nil }
            ?? bans.first { $0.subject.conversation == conversation.id }
    }

    /// The users with a ban that is active now and that `earlier` does not have.
    public func newlyBanned(since earlier: BanList, at now: Timestamp) -> [Ban.Subject] {
        self.bans.flatMap { user, bans in
            let known = earlier.bans[user] ?? []
            return bans.filter { ban in
                ban.isActive(at: now)
                    && !known.contains { $0.subject == ban.subject && $0.isActive(at: now) }
            }.map(\.subject)
        }
    }

    private func bans(of user: UserID, in tenant: ByteString, at now: Timestamp) -> [Ban] {
        guard !self.bans.isEmpty else { return [] }
        return (self.bans[User(tenant: tenant, user: user.displayID)] ?? []).filter {
            $0.isActive(at: now)
        }
    }
}

extension UserID {
    /// Every user that others see under this id, apart from guests with keys. A name that the
    /// server has assigned to a guest looks like one that a request has claimed.
    public static func all(displayed id: ByteString) -> [UserID] {
        let user = UserID(displayID: id)
        return user.isAnonymous ? [user, UserID(assigned: user.name)] : [user]
    }

    /// The guests that others see with this key.
    public static func all(withKey key: ByteString, named name: ByteString) -> [UserID] {
        guard key.byteCount == Self.guestKeyBytes else { return [] }
        return [.connection, .token].map { Self(guest: name, key: key, provenBy: $0) }
    }
}
