import Bytes
import ChatModel
import RedisClient

/// The keys of a cluster, and the entries of the indexes.
extension ScriptArguments {
    /// The key that probes write to.
    var probeKey: ByteString { ByteString("\(self.keys.cluster):{c}:probe") }

    /// The key of all bans, a hash.
    var bansKey: ByteString { ByteString("\(self.keys.cluster):{c}:bans") }

    /// The key of a user's or tenant's index.
    func key(of indexKey: StoreKeys.IndexKey) -> ByteString {
        self.keyBuffer.removeAll()
        self.keys.append(indexKey, to: &self.keyBuffer)
        return ByteString(self.keyBuffer.text)
    }

    /// Appends a whole command that adds an index entry.
    func appendCommand(for entry: IndexEntry, to command: inout RedisCommandWriter) {
        command.append("ZADD")
        self.appendKey(of: entry, to: &command)
        command.append("GT")
        command.append(entry.score)
        command.append(text: entry.id)
    }

    private func appendKey(of entry: IndexEntry, to command: inout RedisCommandWriter) {
        self.keyBuffer.removeAll()
        self.keys.append(entry.indexKey, to: &self.keyBuffer)
        command.append(self.keyBuffer)
    }

    /// Appends the index entry that the write script must add, or three empty arguments.
    func append(_ entry: IndexEntry?, to command: inout RedisCommandWriter) {
        guard let entry, !self.namesAllKeys else {
            for _ in 0..<3 { command.append("") }
            return
        }
        self.appendKey(of: entry, to: &command)
        command.append(entry.score)
        command.append(text: entry.id)
    }
}
