import Bytes
import ChatModel
import RedisClient

/// Writes the scripts' keys and arguments. Reuses its buffers for all commands of a loop, so that
/// it allocates nothing.
final class ScriptArguments {
    let keys: StoreKeys
    private let history: Int
    private let outbox: OutboxWriter?
    /// In Redis Cluster a script must name every key that it uses. While a slot moves, its keys are
    /// on two nodes. A script that named only one would run where that key is, and would create the
    /// others there.
    let namesAllKeys: Bool
    var keyBuffer = ByteBuffer(capacity: 128)
    private var valueBuffer = ByteBuffer(capacity: 512)
    /// The time of the batch that is being written.
    private var now = Timestamp(milliseconds: 0)

    init(keys: StoreKeys, history: Int, namesAllKeys: Bool, outbox: OutboxWriter? = nil) {
        self.keys = keys
        self.history = history
        self.namesAllKeys = namesAllKeys
        self.outbox = outbox
    }

    /// Appends a shard's lease, the claiming owner and its view.
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

    /// Appends a reading script, a conversation's hash and the history limit, which all reading
    /// scripts begin with.
    func append(
        _ script: RedisScript, of conversation: ConversationKey, in shard: Int,
        to command: inout RedisCommandWriter
    ) {
        command.append(script, keyCount: 1 + (self.namesAllKeys ? StoreKeys.otherParts.count : 0))
        self.append(.conversation, of: conversation, in: shard, to: &command)
        if self.namesAllKeys { self.appendOtherKeys(of: conversation, in: shard, to: &command) }
        command.append(self.history)
    }

    func append(
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

    /// Appends a call of the write script (`StoreScripts.write`).
    ///
    /// Adjacent writes of one conversation and epoch form a run, which names the conversation once.
    ///
    /// - Parameter positions: of the writes that belong to this call, in order.
    func append(
        _ batch: WriteBatch, _ positions: some RandomAccessCollection<Int>, at now: Timestamp,
        to command: inout RedisCommandWriter,
        script: RedisScript
    ) {
        self.now = now
        // The buffer lends its writes; the array would return copies. Passing on its span crashes
        // the optimizer of Swift 6.3.1.
        batch.writes.withUnsafeBufferPointer {
            self.append(
                $0, by: batch.owner, batch.publications, positions, to: &command, script: script)
        }
    }

    private func append(
        _ writes: UnsafeBufferPointer<Write>, by owner: LoopID, _ notices: [Publication],
        _ positions: some RandomAccessCollection<Int>,
        to command: inout RedisCommandWriter, script: RedisScript
    ) {
        var runCount = 0
        var last: Int?
        for position in positions {
            if !Self.continuesRun(writes, last, position) { runCount += 1 }
            last = position
        }
        command.append(
            script,
            keyCount: self.namesAllKeys
                ? runCount * StoreKeys.ConversationPart.allCases.count + 1
                    + (self.outbox == nil ? 0 : 1) : runCount)
        last = nil
        for position in positions {
            if !Self.continuesRun(writes, last, position) {
                self.append(
                    .conversation, of: writes[position].conversation, in: writes[position].shard,
                    to: &command)
            }
            last = position
        }
        if self.namesAllKeys { self.appendOtherKeys(of: writes, positions, to: &command) }
        command.append(text: owner.description)
        command.append(self.history)
        command.append(notices.count)
        for notice in notices {
            command.append(text: notice.channel)
            command.append(notice.payload)
        }
        var next = positions.startIndex
        while next < positions.endIndex {
            var end = positions.index(after: next)
            while end < positions.endIndex,
                Self.continuesRun(writes, positions[next], positions[end])
            {
                positions.formIndex(after: &end)
            }
            command.append(writes[positions[next]].epoch)
            command.append(positions.distance(from: next, to: end))
            while next < end {
                // Adjacent cursor writes form one write, so that the script reads and writes them
                // together.
                var cursors = next
                while cursors < end, writes[positions[cursors]].change.isCursors {
                    positions.formIndex(after: &cursors)
                }
                if next < cursors {
                    command.append("r")
                    command.append(positions.distance(from: next, to: cursors))
                }
                if next == cursors { positions.formIndex(after: &cursors) }
                while next < cursors {
                    self.append(writes[positions[next]], to: &command)
                    positions.formIndex(after: &next)
                }
            }
        }
        if let outbox = self.outbox {
            self.appendEvents(of: writes, positions, outbox, to: &command)
        }
    }

    /// Appends the events of the writes, each with its write's place in this call, then the bound
    /// of an outbox and the number of events (`StoreScripts.writeWithOutbox`).
    private func appendEvents(
        of writes: UnsafeBufferPointer<Write>, _ positions: some RandomAccessCollection<Int>,
        _ outbox: OutboxWriter, to command: inout RedisCommandWriter
    ) {
        var count = 0
        for (place, position) in positions.enumerated() {
            guard let event = outbox.event(writes[position]) else { continue }
            count += 1
            command.append(place)
            self.appendOutbox(of: writes[position].shard, to: &command)
            self.valueBuffer.removeAll()
            self.valueBuffer.append(percentEncoding: event.conversation.tenant)
            self.valueBuffer.append(":")
            self.valueBuffer.append(percentEncoding: event.conversation.id)
            command.append(self.valueBuffer)
            command.append(text: event.id)
            command.append(text: event.type)
            command.append(event.queuedAt.milliseconds)
            command.append(event.body)
        }
        command.append(2 * outbox.limit)
        command.append(count)
    }

    func appendOutbox(of shard: Int, to command: inout RedisCommandWriter) {
        self.keyBuffer.removeAll()
        self.keys.appendOutbox(of: shard, to: &self.keyBuffer)
        command.append(self.keyBuffer)
    }

    func appendDeadLetters(of shard: Int, to command: inout RedisCommandWriter) {
        self.keyBuffer.removeAll()
        self.keys.appendDeadLetters(of: shard, to: &self.keyBuffer)
        command.append(self.keyBuffer)
    }

    /// Appended after the hashes of all runs, which belong to one shard.
    private func appendOtherKeys(
        of writes: UnsafeBufferPointer<Write>, _ positions: some RandomAccessCollection<Int>,
        to command: inout RedisCommandWriter
    ) {
        var last: Int?
        for position in positions {
            if last == nil {
                self.appendLease(of: writes[position].shard, to: &command)
                if self.outbox != nil {
                    self.appendOutbox(of: writes[position].shard, to: &command)
                }
            }
            if !Self.continuesRun(writes, last, position) {
                self.appendOtherKeys(
                    of: writes[position].conversation, in: writes[position].shard, to: &command)
            }
            last = position
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
            // Redis trims a hundred entries at a time, so it need not be asked each time.
            let trims = message.sequence % 64 == 0
            let annotations = message.body.annotations.flatMap {
                StoredReferences.exist(in: $0) || StoredMarks.exist(in: $0) ? $0 : nil
            }
            command.append(annotations != nil ? "n" : trims ? "t" : "m")
            self.append(progress: write.revision - 1, message.sequence - 1, nil, to: &command)
            self.append(progress: write.revision, message.sequence, message.sentAt, to: &command)
            self.append(to: &command) {
                $0.append(decimal: message.sequence)
                $0.append("-0")
            }
            self.append(to: &command) {
                StoredMessage.write(message, revision: write.revision, to: &$0)
            }
            if let annotations {
                self.append(to: &command) {
                    guard StoredReferences.exist(in: annotations) else { return }
                    StoredReferences.write(annotations, to: &$0)
                }
                self.append(to: &command) {
                    StoredReferences.writeThreadEntry(of: message, to: &$0)
                }
                command.append(trims ? "1" : "")
                self.append(to: &command) {
                    guard StoredMarks.exist(in: annotations) else { return }
                    StoredAmendment.write(message, revision: write.revision, to: &$0)
                }
                self.appendPin(of: message, revision: write.revision, to: &command)
            }
        case .cursors(let user, let read, let delivered):
            command.append(text: user.storageKey)
            command.append(read)
            command.append(delivered)
        case .create(let record):
            self.append(
                HashFieldWriter(record), "c", at: record.updatedAt, of: write, to: &command)
        case .amend(let message, _, let time):
            command.append("a")
            command.append(write.revision)
            command.append(message.sequence)
            self.append(time, to: &command)
            self.append(to: &command) { StoredAmendment.writeState(message, to: &$0) }
            self.appendPin(of: message, revision: write.revision, to: &command)
        case .member(let member):
            command.append("j")
            command.append(write.revision)
            self.append(member, to: &command)
            self.append(IndexEntry(write, at: self.now), to: &command)
        case .update(let record):
            self.append(
                HashFieldWriter(propertiesOf: record), "u", at: nil, of: write, to: &command)
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

    /// Appends a write of fields of the conversation's hash.
    private func append(
        _ hash: HashFieldWriter, _ kind: StaticString, at time: Timestamp?,
        of write: borrowing Write, to command: inout RedisCommandWriter
    ) {
        command.append(kind)
        command.append(write.revision)
        self.append(time, to: &command)
        self.append(IndexEntry(write, at: self.now), to: &command)
        command.append(hash.fields.count)
        for field in hash.fields {
            command.append(field.name)
            command.append(text: field.value)
        }
    }

    /// Appends a message's pinned copy; empty if it is not pinned.
    private func appendPin(
        of message: Message, revision: Revision, to command: inout RedisCommandWriter
    ) {
        self.append(to: &command) {
            guard message.isPinned else { return }
            StoredPin.write(message, revision: revision, to: &$0)
        }
    }

    /// Appends a time; an empty argument for nil.
    private func append(_ time: Timestamp?, to command: inout RedisCommandWriter) {
        if let time { command.append(time.milliseconds) } else { command.append("") }
    }

    /// Appends what `write` has written.
    private func append(to command: inout RedisCommandWriter, _ write: (inout ByteBuffer) -> Void) {
        self.valueBuffer.removeAll()
        write(&self.valueBuffer)
        command.append(self.valueBuffer)
    }

    /// Appends the user as scripts search for it in mentions.
    func append(mentionOf user: UserID, to command: inout RedisCommandWriter) {
        self.append(to: &command) {
            $0.append(UInt8(ascii: " "))
            StoredReferences.append(user, to: &$0)
        }
    }

    private func append(_ member: Member, to command: inout RedisCommandWriter) {
        command.append(text: member.user.storageKey)
        command.append(member.role.rawValue)
        command.append(member.joinedAt.milliseconds)
        command.append(member.readCursor)
        command.append(member.deliveredCursor)
        self.valueBuffer.removeAll()
        self.valueBuffer.append(text: member.name.string)
        ReplyDecoder.appendEnd(of: member, to: &self.valueBuffer)
        command.append(self.valueBuffer)
    }

    /// Appends a conversation's state as in its hash: format, revision, head and last change. The
    /// last change is omitted when the state is only compared. The scripts compare and store these
    /// texts as they are, because parsing the numbers would cost Redis more than storing the
    /// message.
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
