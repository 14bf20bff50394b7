/// Changes of messages: edits, deletions, reactions and pins, and what replies show of them.
extension Timeline {
    /// A change that the server reports.
    enum ReportedChange {
        case edited(ChatMessage)
        case deleted(ChatMessage)
        case reactions(to: Int, rev: Int, [MessageReaction])
        case pinned(ChatMessage, by: String)
        case unpinned(ChatMessage, by: String)
    }

    /// Accepts a change. A resumed connection reports several of one message, with one revision.
    mutating func change(_ change: ReportedChange) -> [ConversationEvent] {
        let known: KnownMessage
        switch change {
        case .edited(let message): known = KnownMessage(edited: message)
        case .deleted(let message), .pinned(let message, _), .unpinned(let message, _):
            known = self.known(message, isFetched: false)
        case .reactions(let id, let rev, let reactions):
            known = KnownMessage(
                self.marked(reactions, of: id, rev: rev, isFetched: false), to: id, rev: rev)
        }
        let id = known.message.id
        // The others of this revision may follow, and a resumed connection must repeat them.
        if self.phase == .live { self.raise(known.message.rev - 1) }
        if self.phase == .live, id <= self.lastID ?? 0 {
            return self.apply(known, reportedAs: change)
        }
        if self.early[id] != nil {
            self.merge(known)
        } else if self.changes[id]?.merge(known) == nil, self.changes.count < Self.earlyLimit {
            self.changes[id] = known
        }
        return []
    }

    /// Applies newer parts of a delivered message.
    mutating func apply(_ known: KnownMessage, reportedAs change: ReportedChange? = nil)
        -> [ConversationEvent]
    {
        guard let index = self.index(of: known.message.id) else {
            if known.revs.text != nil { self.quote(known.message) }
            return self.news(of: known.message, change)
        }
        let old = self.loaded[index].message
        self.loaded[index].merge(known)
        let new = self.loaded[index].message
        if old.thread == nil { self.count(new) }
        if new.text != old.text || new.isDeleted != old.isDeleted { self.quote(new) }
        if new.isDeleted { return old.isDeleted ? [] : [.remove(new)] }
        var events: [ConversationEvent] = []
        if new.text != old.text || new.isEdited != old.isEdited { events.append(.change(new)) }
        if new.reactions != old.reactions { events.append(.reactions(new)) }
        if new.pinned != old.pinned {
            if let pin = new.pinned {
                events.append(.pinned(new, by: pin.by))
            } else if case .unpinned(_, let user)? = change {
                events.append(.unpinned(new, by: user))
            } else {
                events.append(.unpinned(new, by: old.pinned?.by ?? ""))
            }
        }
        return events
    }

    /// What is news of a message that is not loaded: without the message, its reactions are none.
    private mutating func news(of message: ChatMessage, _ change: ReportedChange?)
        -> [ConversationEvent]
    {
        switch change {
        case .reactions: []
        case .pinned(_, let user):
            self.isNews(message, "pinned") ? [.pinned(message, by: user)] : []
        case .unpinned(_, let user):
            self.isNews(message, "unpinned") ? [.unpinned(message, by: user)] : []
        case .edited, .deleted, nil:
            if message.isDeleted {
                self.isNews(message, "deleted") ? [.remove(message)] : []
            } else if message.isEdited {
                self.isNews(message, "edited") ? [.change(message)] : []
            } else {
                []
            }
        }
    }

    /// Whether a change was not reported before. Changes come in the order of their revisions, and
    /// a new connection repeats the newest.
    private mutating func isNews(_ message: ChatMessage, _ kind: String) -> Bool {
        guard message.rev > 0 else { return true }
        if message.rev > self.unloadedChanges.rev { self.unloadedChanges = (message.rev, []) }
        return message.rev == self.unloadedChanges.rev
            && self.unloadedChanges.reported.insert("\(message.id) \(kind)").inserted
    }

    /// A fetched message, with the parts that are newer in the list.
    mutating func latest(_ message: ChatMessage) -> ChatMessage {
        var known = self.known(message, isFetched: true)
        if let quoted = message.replyTo.flatMap({ self.message($0) }), !message.isDeleted {
            known.message.replyExcerpt = quoted.excerpt
        }
        guard let index = self.index(of: message.id) else { return known.message }
        known.merge(self.loaded[index])
        if !known.message.isDeleted { known.message.state = self.loaded[index].message.state }
        return known.message
    }

    // MARK: Own reactions

    /// A whole message as the server sent it, with which reactions are the client's user's.
    mutating func known(_ message: ChatMessage, isFetched: Bool) -> KnownMessage {
        var message = message
        message.reactions = self.marked(
            message.reactions, of: message.id, rev: message.rev, isFetched: isFetched)
        return KnownMessage(message, isFetched: isFetched)
    }

    private mutating func marked(
        _ reactions: [MessageReaction], of id: Int, rev: Int, isFetched: Bool
    ) -> [MessageReaction] {
        let before =
            self.index(of: id).map { self.loaded[$0] } ?? self.early[id] ?? self.changes[id]
        return self.ownReactions.mark(
            reactions, of: id, rev: rev, isFetched: isFetched, user: self.user,
            before: before?.message.reactions ?? [])
    }

    /// Accepts the acknowledgement of an own reaction. Its event may come before or after it.
    mutating func reacted(to id: Int, _ emoji: String, isOn: Bool, rev: Int)
        -> [ConversationEvent]
    {
        self.ownReactions.record(emoji, isOn, of: id, rev: rev)
        self.early[id]?.acknowledge(emoji, isOn: isOn, rev: rev)
        self.changes[id]?.acknowledge(emoji, isOn: isOn, rev: rev)
        guard let index = self.index(of: id) else { return [] }
        let old = self.loaded[index].message.reactions
        self.loaded[index].acknowledge(emoji, isOn: isOn, rev: rev)
        return self.loaded[index].message.reactions == old
            ? [] : [.reactions(self.loaded[index].message)]
    }

    // MARK: Threads

    /// Adds the next message to the list, and counts it in its thread.
    @discardableResult
    mutating func append(_ known: KnownMessage) -> ChatMessage {
        var known = known
        if let id = known.message.replyTo, !known.message.isDeleted {
            if let quoted = self.message(id) {
                known.message.replyExcerpt = quoted.excerpt
            } else if known.message.replyExcerpt == nil, !known.isFetched,
                !self.unquoted.contains(id), self.unquoted.count < Self.earlyLimit
            {
                self.unquoted.append(id)
            }
        }
        self.loaded.append(known)
        self.count(known.message)
        return known.message
    }

    /// Counts a reply in its thread. Messages are counted in order, and pages have counted some.
    private mutating func count(_ reply: ChatMessage) {
        guard let thread = reply.thread, let root = self.index(of: thread),
            reply.id > self.loaded[root].message.lastReplyID ?? 0
        else { return }
        self.loaded[root].message.replies += 1
        self.loaded[root].message.lastReplyID = reply.id
    }

    /// Shows the present text of a message in the replies to it, and returns these.
    @discardableResult
    mutating func quote(_ quoted: ChatMessage) -> [ChatMessage] {
        let excerpt = quoted.excerpt
        for (id, known) in self.early where known.message.replyTo == quoted.id {
            self.early[id]?.message.replyExcerpt = excerpt
        }
        var changed: [ChatMessage] = []
        for index in self.loaded.indices {
            let message = self.loaded[index].message
            guard message.replyTo == quoted.id, !message.isDeleted,
                message.replyExcerpt != excerpt
            else { continue }
            self.loaded[index].message.replyExcerpt = excerpt
            changed.append(self.loaded[index].message)
        }
        return changed
    }

    /// Accepts the page with the message that a reply names. Without it, it is not retained.
    mutating func quote(_ id: Int, from page: [ChatMessage]) -> [ConversationEvent] {
        self.unquoted.removeAll { $0 == id }
        guard let found = page.first(where: { $0.id == id }) else { return [] }
        return self.quote(found).map { .change($0) }
    }
}

extension KnownMessage {
    /// A complete list of users that is as new says more than the acknowledgement.
    fileprivate mutating func acknowledge(_ emoji: String, isOn: Bool, rev: Int) {
        guard let index = self.message.reactions.firstIndex(where: { $0.emoji == emoji }) else {
            return
        }
        let reaction = self.message.reactions[index]
        let isComplete = reaction.count <= reaction.users.count
        if !isComplete || rev > self.revs.reactions ?? 0 {
            self.message.reactions[index].isMine = isOn
        }
    }
}
