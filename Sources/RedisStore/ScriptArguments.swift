import Bytes
import ChatModel
import RedisClient

/// Writes what the scripts take as keys and arguments; used again for every command of a loop, so that it allocates nothing.
final class ScriptArguments {
    private let keys: StoreKeys
    private let history: Int
    /// In Redis Cluster a script has to name every key that it touches. Of a slot that moves some keys are on one side and some on the
    /// other: a script that named one of them would run where that one is, and write the others there anew.
    private let namesAllKeys: Bool
    private var keyBuffer = ByteBuffer(capacity: 128)
    private var valueBuffer = ByteBuffer(capacity: 512)
    /// When the batch is written that is being appended.
    private var now = Timestamp(milliseconds: 0)

    init(keys: StoreKeys, history: Int, namesAllKeys: Bool) {
        self.keys = keys
        self.history = history
        self.namesAllKeys = namesAllKeys
    }

    /// The lease of a shard, and who is to own it by which view.
    func appendLease(
        of shard: Int, for owner: LoopID, view: Int, to command: inout RedisCommandWriter
    ) {
        self.appendLease(of: shard, to: &command)
        command.append(text: owner.description)
        command.append(view)
    }

    private func appendLease(of shard: Int, to command: inout RedisCommandWriter) {
        self.keyBuffer.removeAll()
        self.keys.appendLease(of: shard, to: &self.keyBuffer)
        command.append(self.keyBuffer)
    }

    /// A script that reads, with a conversation's hash and how many messages are kept, which is what every one of them begins with.
    func append(
        _ script: RedisScript, of conversation: ConversationKey, in shard: Int,
        to command: inout RedisCommandWriter
    ) {
        command.append(script, keyCount: 1 + (self.namesAllKeys ? StoreKeys.otherParts.count : 0))
        self.append(.conversation, of: conversation, in: shard, to: &command)
        if self.namesAllKeys { self.appendOtherKeys(of: conversation, in: shard, to: &command) }
        command.append(self.history)
    }

    /// What is written to see whether something can be.
    var probeKey: ByteString { ByteString("\(self.keys.cluster):{c}:probe") }

    /// The key of what is kept of a user or a tenant.
    func key(of shelf: StoreKeys.IndexKey) -> ByteString {
        self.keyBuffer.removeAll()
        self.keys.append(shelf, to: &self.keyBuffer)
        return ByteString(self.keyBuffer.text)
    }

    /// A whole command that puts a conversation into a list.
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

    /// The list that the write script is to put a conversation into, if it is to do so.
    private func append(_ entry: IndexEntry?, to command: inout RedisCommandWriter) {
        guard let entry, !self.namesAllKeys else {
            for _ in 0..<3 { command.append("") }
            return
        }
        self.appendKey(of: entry, to: &command)
        command.append(entry.score)
        command.append(text: entry.id)
    }

    private func append(
        _ part: StoreKeys.ConversationPart, of conversation: ConversationKey, in shard: Int,
        to command: inout RedisCommandWriter
    ) {
        self.keyBuffer.removeAll()
        self.keys.append(part, of: conversation, in: shard, to: &self.keyBuffer)
        command.append(self.keyBuffer)
    }

    private func appendOtherKeys(
        of conversation: ConversationKey, in shard: Int, to command: inout RedisCommandWriter
    ) {
        for part in StoreKeys.otherParts {
            self.append(part, of: conversation, in: shard, to: &command)
        }
    }

    /// A call of the write script (`StoreScripts.write`).
    ///
    /// Writes of one conversation and epoch that stand side by side are a run: the conversation is named once for all of them.
    ///
    /// - Parameter places: of the writes that belong to this call, in order.
    func append(
        _ batch: WriteBatch, _ places: some RandomAccessCollection<Int>, at now: Timestamp,
        to command: inout RedisCommandWriter,
        script: RedisScript
    ) {
        self.now = now
        // Lent by the buffer; the array would hand out copies. Its span, handed on, crashes the optimizer of Swift 6.3.1.
        batch.writes.withUnsafeBufferPointer {
            self.append(
                $0, by: batch.owner, batch.publications, places, to: &command, script: script)
        }
    }

    private func append(
        _ writes: UnsafeBufferPointer<Write>, by owner: LoopID, _ notices: [Publication],
        _ places: some RandomAccessCollection<Int>,
        to command: inout RedisCommandWriter, script: RedisScript
    ) {
        var runCount = 0
        var last: Int?
        for place in places {
            if !Self.continuesRun(writes, last, place) { runCount += 1 }
            last = place
        }
        command.append(
            script,
            keyCount: self.namesAllKeys
                ? runCount * StoreKeys.ConversationPart.allCases.count + 1 : runCount)
        last = nil
        for place in places {
            if !Self.continuesRun(writes, last, place) {
                self.append(
                    .conversation, of: writes[place].conversation, in: writes[place].shard,
                    to: &command)
            }
            last = place
        }
        if self.namesAllKeys { self.appendOtherKeys(of: writes, places, to: &command) }
        command.append(text: owner.description)
        command.append(self.history)
        command.append(notices.count)
        for notice in notices {
            command.append(text: notice.channel)
            command.append(notice.payload)
        }
        var next = places.startIndex
        while next < places.endIndex {
            var end = places.index(after: next)
            while end < places.endIndex, Self.continuesRun(writes, places[next], places[end]) {
                places.formIndex(after: &end)
            }
            command.append(writes[places[next]].epoch)
            command.append(places.distance(from: next, to: end))
            while next < end {
                // The cursors of several members stand as one: they are read and written together.
                var cursors = next
                while cursors < end, writes[places[cursors]].change.isCursors {
                    places.formIndex(after: &cursors)
                }
                if next < cursors {
                    command.append("r")
                    command.append(places.distance(from: next, to: cursors))
                }
                if next == cursors { places.formIndex(after: &cursors) }
                while next < cursors {
                    self.append(writes[places[next]], to: &command)
                    places.formIndex(after: &next)
                }
            }
        }
    }

    /// Behind the hashes of all runs, which are all of one shard.
    private func appendOtherKeys(
        of writes: UnsafeBufferPointer<Write>, _ places: some RandomAccessCollection<Int>,
        to command: inout RedisCommandWriter
    ) {
        var last: Int?
        for place in places {
            if last == nil { self.appendLease(of: writes[place].shard, to: &command) }
            if !Self.continuesRun(writes, last, place) {
                self.appendOtherKeys(
                    of: writes[place].conversation, in: writes[place].shard, to: &command)
            }
            last = place
        }
    }

    private static func continuesRun(
        _ writes: UnsafeBufferPointer<Write>, _ last: Int?, _ next: Int
    ) -> Bool {
        guard let last else { return false }
        return writes[last].epoch == writes[next].epoch
            && writes[last].conversation == writes[next].conversation
    }

    private func append(_ write: borrowing Write, to command: inout RedisCommandWriter) {
        switch write.change {
        case .message(let message):
            // Redis drops a hundred entries at a time: there is no need to ask it each time.
            command.append(message.sequence % 64 == 0 ? "t" : "m")
            self.append(progress: write.revision - 1, message.sequence - 1, nil, to: &command)
            self.append(progress: write.revision, message.sequence, message.sentAt, to: &command)
            self.valueBuffer.removeAll()
            self.valueBuffer.append(decimal: message.sequence)
            self.valueBuffer.append("-0")
            command.append(self.valueBuffer)
            self.valueBuffer.removeAll()
            StoredMessage.write(message, revision: write.revision, to: &self.valueBuffer)
            command.append(self.valueBuffer)
        case .cursors(let user, let read, let delivered):
            command.append(text: user.storageKey)
            command.append(read)
            command.append(delivered)
        case .create(let record):
            command.append("c")
            command.append(write.revision)
            command.append(record.joinPolicy.rawValue)
            command.append(text: record.title)
            command.append(text: record.creator?.storageKey ?? "")
            command.append(record.createdAt.milliseconds)
            command.append(record.updatedAt.milliseconds)
            if let ended = record.endedAt {
                command.append(ended.milliseconds)
            } else {
                command.append("")
            }
            command.append(record.kind.rawValue)
            command.append(text: record.dialectData)
            self.append(IndexEntry(write, at: self.now), to: &command)
        case .amend(let message, let time):
            command.append("a")
            command.append(write.revision)
            command.append(message.sequence)
            command.append(time.milliseconds)
            command.append(message.state.rawValue)
            self.valueBuffer.removeAll()
            self.valueBuffer.append(number: message.body.content.utf8.count)
            self.valueBuffer.append(text: message.body.content)
            if let metadata = message.body.metadata { self.valueBuffer.append(present: metadata) }
            command.append(self.valueBuffer)
        case .member(let member):
            command.append("j")
            command.append(write.revision)
            command.append(text: member.user.storageKey)
            command.append(member.role.rawValue)
            command.append(member.joinedAt.milliseconds)
            command.append(member.readCursor)
            command.append(member.deliveredCursor)
            self.valueBuffer.removeAll()
            self.valueBuffer.append(text: member.name.string)
            if let agent = member.agent {
                self.valueBuffer.append(ReplyDecoder.agentMark)
                self.valueBuffer.append(text: agent.string)
            }
            command.append(self.valueBuffer)
            self.append(IndexEntry(write, at: self.now), to: &command)
        case .remove(let user):
            command.append("d")
            command.append(write.revision)
            command.append(text: user.storageKey)
        case .skip:
            command.append("s")
            command.append(write.revision)
        case .end(let time):
            command.append("e")
            command.append(write.revision)
            command.append(time.milliseconds)
        }
    }

    /// How far a conversation is, as its hash has it: format, revision, newest number and last change, which is left out of what is only
    /// compared. Redis compares and keeps these texts as they are; to make numbers of them would cost it more than to store the message.
    private func append(
        progress revision: Revision, _ head: SequenceNumber, _ updated: Timestamp?,
        to command: inout RedisCommandWriter
    ) {
        self.valueBuffer.removeAll()
        self.valueBuffer.append("1 ")
        self.valueBuffer.append(number: revision)
        self.valueBuffer.append(number: head)
        if let updated { self.valueBuffer.append(decimal: updated.milliseconds) }
        command.append(self.valueBuffer)
    }
}

extension Write.Change {
    fileprivate var isCursors: Bool {
        if case .cursors = self { true } else { false }
    }
}
