import ChatModel

extension SQLiteWriter {
    /// Writes index entries again that the index lacks although the log has their messages. The log
    /// decides: each of its rows has a checksum.
    func repair(_ key: ConversationKey, by owner: LoopID, under epoch: Epoch) throws(StorageFault)
        -> StoreAnswer
    {
        let fence = self.fences[Shard.of(key)] ?? .unclaimed
        guard fence.refusal(of: owner, under: epoch) == nil else {
            return .failed(.repairFenced)
        }
        // Damage in one conversation must not fail the transaction, which all share.
        do {
            guard let row = try self.conversations.conversation(key) else {
                return .examined(StoredFaults())
            }
            let lost = try self.lostEntries(of: row)
            for entry in lost { try self.messageIndex.put(entry) }
            return .examined(
                StoredFaults(
                    repairable: lost.map {
                        "the index has message \($0.sequence) again"
                    }))
        } catch .damaged(let problem) {
            return .failed(
                StoreFailure(
                    "\(self.file.path): it is damaged: \(problem)", isRequestSpecific: true,
                    effect: .rejected))
        }
    }

    private func lostEntries(of row: StoredConversation) throws(StorageFault)
        -> [MessageIndexEntry]
    {
        var newest = self.unindexed.newest(of: row.id)
        if newest == nil { newest = try self.messageIndex.newest(of: row.id) }
        guard let newest, newest.sequence >= row.retainedFrom else { return [] }
        let window = row.retainedFrom..<(newest.sequence + 1)
        var known = Set(try self.messageIndex.entries(of: row.id, in: window).map(\.sequence))
        known.formUnion(
            self.unindexed.entries(of: row.id, in: window, upTo: .max).map(\.sequence))
        known.formUnion(
            self.transactionEntries.filter { $0.conversation == row.id }.map(\.sequence))
        guard known.count < window.count else { return [] }
        let log: ConversationLogRows
        do {
            log = try ConversationLogRows(self.connection, self.messages)
        } catch {
            throw StorageFault(error)
        }
        return try log.entries(of: row.id, window, lackedBy: known)
    }
}
