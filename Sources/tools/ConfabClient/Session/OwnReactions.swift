/// Which reactions are those of this client's user.
///
/// An event does not say it, and lists at most 20 users. So it follows from the list if that is
/// complete, otherwise from own reactions that the server has acknowledged, and from pages.
struct OwnReactions {
    private struct Acknowledged {
        var rev: Int
        var isOn: Bool
    }

    /// By message and emoji.
    private var acknowledged: [Int: [String: Acknowledged]] = [:]
    /// The messages, in the order of their first acknowledgement.
    private var order: [Int] = []

    /// The reactions to more messages are forgotten, oldest first.
    static let messageLimit = 1000

    mutating func record(_ emoji: String, _ isOn: Bool, of id: Int, rev: Int) {
        if self.acknowledged[id] == nil {
            self.order.append(id)
            if self.order.count > Self.messageLimit {
                self.acknowledged[self.order.removeFirst()] = nil
            }
        }
        if let known = self.acknowledged[id]?[emoji], known.rev > rev { return }
        self.acknowledged[id, default: [:]][emoji] = Acknowledged(rev: rev, isOn: isOn)
    }

    /// The reactions to a message, each with whether it is this user's.
    ///
    /// - Parameters:
    ///   - isFetched: whether they come from a page, which says it.
    ///   - before: the reactions that were known until now.
    mutating func mark(
        _ reactions: [MessageReaction], of id: Int, rev: Int, isFetched: Bool, user: String?,
        before: [MessageReaction]
    ) -> [MessageReaction] {
        let own = self.acknowledged[id] ?? [:]
        var uncertain: Set<String> = []
        let marked = reactions.map { reaction in
            var reaction = reaction
            reaction.isMine = reaction.isMine || user.map { reaction.users.contains($0) } ?? false
            let isCertain =
                isFetched || reaction.isMine
                || user != nil && reaction.count <= reaction.users.count
            if !isCertain { uncertain.insert(reaction.emoji) }
            if let known = own[reaction.emoji], known.rev > rev || !isCertain {
                reaction.isMine = known.isOn
            } else if !isCertain {
                reaction.isMine = before.first { $0.emoji == reaction.emoji }?.isMine ?? false
            }
            return reaction
        }
        for (emoji, known) in own where known.rev <= rev && !uncertain.contains(emoji) {
            self.acknowledged[id]?[emoji] = nil
        }
        return marked
    }
}
