import ChatModel

extension SQLiteReader {
    /// A page with what its messages refer to.
    func page(of snapshot: ConversationSnapshot, _ range: PageRange, limit: PageLimit)
        throws(StorageFault) -> MessagePage
    {
        var page = snapshot.page(try self.messages(of: snapshot, range, limit: limit))
        page.setHasMore(of: range)
        if let first = page.messages.first, let last = page.messages.last {
            page.threads = try self.replies.summaries(
                of: snapshot.id, in: first.sequence...last.sequence)
        }
        try self.addReplyTargets(to: &page, of: snapshot)
        return page
    }

    /// A page of a thread. The root may have left the history.
    func thread(
        _ root: SequenceNumber, of snapshot: ConversationSnapshot, _ range: PageRange,
        limit: PageLimit
    ) throws(StorageFault) -> MessagePage {
        var page = snapshot.page([])
        guard root <= snapshot.head else { return page }
        let sequences = try self.replies.page(
            of: root, in: snapshot.id, from: snapshot.oldest, range, limit: limit.messages)
        (page.messages, page.hasMore) = try limit.page(
            of: try self.entries(of: snapshot, Array(sequences)), isForward: range.isForward,
            read: self.message)
        for message in page.messages
        where message.sequence != root && message.body.annotations?.reply?.thread != root {
            throw .damaged(
                """
                message \(message.sequence) of conversation \(snapshot.id) is not in thread \(root)
                """)
        }
        if page.messages.first?.sequence == root {
            page.threads = try self.replies.summaries(of: snapshot.id, in: root...root)
        }
        try self.addReplyTargets(to: &page, of: snapshot)
        return page
    }

    private func addReplyTargets(to page: inout MessagePage, of snapshot: ConversationSnapshot)
        throws(StorageFault)
    {
        let targets = page.missingReplyTargets
        guard !targets.isEmpty else { return }
        page.replyTargets = try self.messages(of: snapshot, targets.sorted())
    }

    /// Retained messages, in ascending order.
    private func messages(of snapshot: ConversationSnapshot, _ sequences: [SequenceNumber])
        throws(StorageFault) -> [Message]
    {
        var messages: [Message] = []
        messages.reserveCapacity(sequences.count)
        for entry in try self.entries(of: snapshot, sequences) {
            messages.append(try self.message(entry))
        }
        return messages
    }
}

extension MessagePage {
    /// The retained messages to which messages of the page reply, and which are not on the page.
    var missingReplyTargets: Set<SequenceNumber> {
        var targets: Set<SequenceNumber> = []
        for message in self.messages {
            if let target = message.body.annotations?.reply?.to, target >= self.oldest,
                target <= self.head
            {
                targets.insert(target)
            }
        }
        if !targets.isEmpty { targets.subtract(self.messages.map(\.sequence)) }
        return targets
    }
}
