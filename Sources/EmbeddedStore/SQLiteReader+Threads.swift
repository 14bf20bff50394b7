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
        for sequence in sequences {
            let message = try self.message(sequence, of: snapshot)
            guard sequence == root || message.body.annotations?.reply?.thread == root else {
                throw .damaged(
                    "message \(sequence) of conversation \(snapshot.id) is not in thread \(root)")
            }
            page.messages.append(message)
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
        for target in page.missingReplyTargets {
            page.replyTargets.append(try self.message(target, of: snapshot))
        }
    }

    /// A message that is retained.
    private func message(_ sequence: SequenceNumber, of snapshot: ConversationSnapshot)
        throws(StorageFault) -> Message
    {
        guard let message = try self.messages(of: snapshot, .after(sequence - 1), limit: 1).first
        else {
            throw .damaged("message \(sequence) of conversation \(snapshot.id) is missing")
        }
        return message
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
