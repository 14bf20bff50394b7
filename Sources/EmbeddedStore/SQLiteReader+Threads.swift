import ChatModel

extension SQLiteReader {
    /// A page with what its messages refer to.
    func page(of snapshot: ConversationSnapshot, _ range: PageRange, limit: Int)
        throws(StorageFault) -> MessagePage
    {
        var page = snapshot.page(try self.messages(of: snapshot, range, limit: limit))
        if let first = page.messages.first, let last = page.messages.last {
            page.threads = try self.replies.summaries(
                of: snapshot.id, in: first.sequence...last.sequence)
        }
        try self.addReplyTargets(to: &page, of: snapshot)
        return page
    }

    /// A page of a thread. A thread ends when its root is no longer retained.
    func thread(
        _ root: SequenceNumber, of snapshot: ConversationSnapshot, _ range: PageRange, limit: Int
    ) throws(StorageFault) -> MessagePage {
        var page = snapshot.page([])
        guard root >= snapshot.oldest, root <= snapshot.head else { return page }
        let sequences = try self.replies.page(of: root, in: snapshot.id, range, limit: limit)
        page.messages = try self.messages(of: snapshot, sequences)
        for message in page.messages
        where message.sequence != root && message.body.annotations?.reply?.thread != root {
            throw .damaged(
                """
                message \(message.sequence) of conversation \(snapshot.id) is not in thread \(root)
                """)
        }
        if sequences.first == root {
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
