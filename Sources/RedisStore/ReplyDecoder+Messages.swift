import Bytes
import ChatModel
import RedisClient

/// The changes of messages, by sequence number.
struct StoredChanges {
    var amendments: [SequenceNumber: StoredAmendment] = [:]
    var marks: [SequenceNumber: MessageAnnotations] = [:]
}

/// Decodes messages.
extension ReplyDecoder {
    static func page(_ reply: RedisReply) throws(DamagedValue) -> MessagePage {
        if reply.isNull { return MessagePage(messages: [], head: 0, oldest: 1, revision: 0) }
        var parts = reply.elements
        guard let head = parts.next()?.integer, let oldest = parts.next()?.integer,
            let revision = parts.next()?.integer,
            let entries = parts.next(), let overlays = parts.next(), let below = parts.next(),
            let marks = parts.next(), let targets = parts.next(), let threads = parts.next(),
            let hasMore = parts.next()?.integer
        else { throw DamagedValue("the reply is truncated") }
        let changes = try self.changes(overlays, marks)
        var page = MessagePage(
            messages: [], head: Int(head), oldest: Int(oldest), revision: Int(revision))
        page.hasMore = hasMore == 1
        page.messages.reserveCapacity(entries.count)
        for entry in entries.elements { page.messages.append(try self.message(entry, changes)) }
        for entry in below.elements { page.amended.append(try self.message(entry, changes)) }
        page.amended.sort { $0.revision < $1.revision }
        for entry in targets.elements { page.replyTargets.append(try self.message(entry, changes)) }
        var summaries = threads.elements
        while let last = summaries.next(), let count = summaries.next()?.integer {
            guard let entry = StoredReferences.threadEntry(last.string) else {
                throw DamagedValue("the threads have the malformed entry \(last.string)")
            }
            page.threads[entry.root] = ThreadSummary(
                replyCount: Int(count), lastReply: entry.reply)
        }
        return page
    }

    /// The pinned messages, oldest pin first.
    ///
    /// A node of an earlier version that deletes a pinned message does not remove the pin, so a
    /// message that was deleted later is left out.
    static func pins(_ reply: RedisReply) throws(DamagedValue) -> [Message] {
        var pins: [(at: Timestamp, message: Message)] = []
        var parts = reply.elements
        while let sequence = parts.next(), let value = parts.next(), let change = parts.next() {
            guard let number = sequence.integer,
                let message = StoredPin.read(value.bytes, as: Int(number)),
                let pin = message.body.annotations?.pin
            else {
                throw DamagedValue("the pin of message \(sequence.string) is not what was stored")
            }
            if !change.isNull {
                let amendment = try self.amendment(change, of: message.sequence)
                if amendment.state == .deleted, amendment.revision > message.revision { continue }
            }
            pins.append((pin.at, message))
        }
        pins.sort { ($0.at, $0.message.sequence) < ($1.at, $1.message.sequence) }
        return pins.map(\.message)
    }

    /// Decodes pairs of a number and a pin.
    static func pinned(_ reply: RedisReply) throws(DamagedValue) -> [Message] {
        var messages: [Message] = []
        var parts = reply.elements
        while let sequence = parts.next(), let value = parts.next() {
            guard let number = sequence.integer,
                let message = StoredPin.read(value.bytes, as: Int(number))
            else {
                throw DamagedValue("the pin of message \(sequence.string) is not what was stored")
            }
            messages.append(message)
        }
        return messages
    }

    /// Decodes pairs of a number and an amendment, and pairs of a number and marks.
    static func changes(_ overlays: RedisReply, _ marks: RedisReply) throws(DamagedValue)
        -> StoredChanges
    {
        var changes = StoredChanges()
        var parts = overlays.elements
        while let sequence = parts.next(), let value = parts.next() {
            let number = try self.number(sequence)
            changes.amendments[number] = try self.amendment(value, of: number)
        }
        parts = marks.elements
        while let sequence = parts.next(), let value = parts.next() {
            let number = try self.number(sequence)
            changes.marks[number] = try self.marks(value, of: number)
        }
        return changes
    }

    private static func number(_ sequence: RedisReply) throws(DamagedValue) -> SequenceNumber {
        guard let number = sequence.integer else {
            throw DamagedValue("an amendment is not what was stored")
        }
        return Int(number)
    }

    static func amendment(_ value: RedisReply, of sequence: SequenceNumber) throws(DamagedValue)
        -> StoredAmendment
    {
        guard let amendment = StoredAmendment(value.bytes) else {
            throw DamagedValue("the amendment of message \(sequence) is not what was stored")
        }
        return amendment
    }

    static func marks(_ value: RedisReply, of sequence: SequenceNumber) throws(DamagedValue)
        -> MessageAnnotations
    {
        guard let marks = StoredMarks.read(value.bytes) else {
            throw DamagedValue(
                "the reactions and the pin of message \(sequence) are not what was stored")
        }
        return marks
    }

    /// An entry of the stream, whose id is `<sequence>-0`.
    static func message(_ entry: RedisReply, _ changes: StoredChanges) throws(DamagedValue)
        -> Message
    {
        guard let id = entry[0], let fields = entry[1],
            let number = FieldReader(id.bytes).leadingNumber
        else {
            throw DamagedValue("an entry of the stream is not what was stored")
        }
        let sequence = Int(number)
        guard fields[0]?.isText(StoredMessage.field) == true, let value = fields[1],
            var message = StoredMessage.read(value.bytes, as: sequence)
        else { throw DamagedValue("message \(sequence) is not what was stored") }
        if let references = fields[3] {
            guard fields[2]?.isText(StoredReferences.field) == true,
                let annotations = StoredReferences.read(references.bytes)
            else {
                throw DamagedValue(
                    "the reply and the mentions of message \(sequence) are not what was stored")
            }
            message.body = message.body.with(annotations)
        }
        if let amendment = changes.amendments[sequence] { message = amendment.applied(to: message) }
        if let marks = changes.marks[sequence] { message.apply(marks) }
        return message
    }
}
