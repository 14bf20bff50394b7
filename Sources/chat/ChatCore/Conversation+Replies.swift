import Bytes
import ChatModel

/// The threads of replies, as far as this owner needs them: the root of each message that it has
/// numbered or looked up.
struct ThreadRoots: Sendable {
    /// The roots of replies, and of messages that were looked up.
    private var roots: [SequenceNumber: SequenceNumber] = [:]
    /// Roots that have left the history, but not all of their replies.
    private var goneRoots: Set<SequenceNumber> = []
    /// Every reply above this number is in `roots`.
    private var knownAbove: SequenceNumber = 0
    private static let limit = 16_384

    /// Knows nothing of the messages up to this one.
    init(after sequence: SequenceNumber) {
        self.knownAbove = sequence
    }

    /// The root of the thread to which a reply to this message belongs; nil if the message must be
    /// looked up.
    func root(of target: SequenceNumber) -> SequenceNumber? {
        self.roots[target] ?? (target > self.knownAbove ? target : nil)
    }

    func isGoneRoot(_ sequence: SequenceNumber) -> Bool { self.goneRoots.contains(sequence) }

    mutating func recordGoneRoot(_ root: SequenceNumber) {
        if self.goneRoots.count >= Self.limit { self.goneRoots.removeAll() }
        self.goneRoots.insert(root)
    }

    /// - Parameter storedHead: the newest message that a lookup can find.
    mutating func record(
        _ root: SequenceNumber, of message: SequenceNumber, storedHead: SequenceNumber
    ) {
        if self.roots.count >= Self.limit {
            self.roots = self.roots.filter { $0.key > storedHead }
            self.knownAbove = max(self.knownAbove, storedHead)
        }
        self.roots[message] = root
    }
}

/// Replies and mentions.
extension Conversation {
    /// The message that must be looked up before this input: the target of a reply whose thread is
    /// unknown. Later inputs wait too, so that one connection's messages keep their order.
    ///
    /// A send that will be refused does not wait: the sends behind it would be accepted if the
    /// store works again meanwhile.
    func unknownReplyTarget(of input: ConversationInput) -> SequenceNumber? {
        guard !self.areWritesUnavailable, case .command(.post(let body)) = input,
            let reply = body.annotations?.reply
        else {
            return nil
        }
        let isPossible =
            reply.to >= 1 && (reply.to <= self.storedHead || self.mayExistElsewhere(reply.to))
        return isPossible && self.threadRoot(of: reply.to) == nil ? reply.to : nil
    }

    /// The root of the thread to which a reply to this message belongs; nil if the message must be
    /// looked up. A message that has left the history is accepted if it is pinned, and if it is the
    /// root of retained replies.
    private func threadRoot(of target: SequenceNumber) -> SequenceNumber? {
        guard target < self.oldest else { return self.threadRoots.root(of: target) }
        if let pinned = self.pinned(target) {
            return pinned.body.annotations?.reply?.thread ?? target
        }
        return self.threadRoots.isGoneRoot(target) ? target : nil
    }

    /// Looks up the targets of all waiting replies at once.
    mutating func lookUpReplyTarget(
        _ target: SequenceNumber, into effects: inout [ConversationEffect]
    ) {
        let pending = self.pendingLookups[target]?.waiting ?? []
        if !pending.contains(where: \.isOfReplyTarget) {
            self.lookUp(target, .replyTarget, into: &effects)
        }
    }

    /// The target of a waiting reply was looked up; nil if there is no such message.
    ///
    /// - Parameter isThread: whether the message is the root of retained replies.
    mutating func recordReplyTarget(
        _ message: Message?, _ sequence: SequenceNumber, isThread: Bool, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        if let message {
            self.threadRoots.record(
                message.body.annotations?.reply?.thread ?? sequence, of: sequence,
                storedHead: self.storedHead)
        }
        if isThread, message == nil { self.threadRoots.recordGoneRoot(sequence) }
        // The message may have left the history meanwhile.
        let isGone = sequence < self.oldest && self.threadRoot(of: sequence) == nil
        if isGone || message == nil && !isThread {
            self.waitingInputs.removeAll {
                guard case .command(.post(let body)) = $0.input,
                    body.annotations?.reply?.to == sequence
                else { return false }
                effects.append(.answer(.failed(.noSuchReplyTarget(sequence)), to: $0.origin))
                return true
            }
        }
        guard case .loadingReplyTarget = self.phase else { return }
        self.phase = .complete
        self.resumeWaiting(at: now, into: &effects)
    }

    /// The body with the root of its thread, and with mentions of members only.
    func resolved(_ body: MessageBody) throws(ChatError) -> MessageBody {
        guard let annotations = body.annotations else { return body }
        var reply: Reply?
        if let target = annotations.reply?.to {
            guard target >= 1, target <= self.head, let root = self.threadRoot(of: target) else {
                throw .noSuchReplyTarget(target)
            }
            reply = Reply(to: target, thread: root)
        }
        return body.with(
            MessageAnnotations(
                reply: reply, mentions: try self.resolved(annotations.mentions, by: body.author.id))
        )
    }

    /// Notifies the mentioned members through their inboxes. A mention of all members of a large
    /// conversation is not posted: it would cost as many writes as there are members.
    func announceMentions(in message: Message, into effects: inout [ConversationEffect]) {
        guard let mentions = message.body.annotations?.mentions else { return }
        var users = mentions.users
        if mentions.includesEveryone {
            guard self.members.memberCount <= ConversationRules.mentionedInboxLimit else { return }
            users = self.members.members.map(\.user)
        }
        users.removeAll { $0 == message.body.author.id }
        if !users.isEmpty { effects.append(.mention(users, in: message)) }
    }

    private func resolved(_ mentions: Mentions?, by author: UserID) throws(ChatError) -> Mentions? {
        guard let mentions else { return nil }
        guard
            !mentions.includesEveryone || mentions.isByAdmin || self.manages(author)
                || self.members.memberCount <= Mentions.everyoneLimit
        else { throw .mentionOfAllNotAllowed(limit: Mentions.everyoneLimit) }
        var users: [UserID] = []
        var others: [UserID] = []
        for user in mentions.users {
            // Every guest that others see under this id, but not more users than a message names.
            let members = self.members.memberNumbers(lookingLike: user).prefix(Mentions.limit).map {
                self.members[$0].member.user
            }
            users += members.filter { !users.contains($0) }.prefix(Mentions.limit - users.count)
            if members.isEmpty, !others.contains(user) {
                others.append(user)
            }
        }
        return Mentions(
            includesEveryone: mentions.includesEveryone, users: users, nonMembers: others)
    }
}
