import Bytes
import ChatModel
import RedisClient

/// Decodes messages.
extension ReplyDecoder {
    static func page(_ reply: RedisReply) throws(DamagedValue) -> MessagePage {
        if reply.isNull { return MessagePage(messages: [], head: 0, oldest: 1, revision: 0) }
        var parts = reply.elements
        guard let head = parts.next()?.integer, let oldest = parts.next()?.integer,
            let revision = parts.next()?.integer,
            let entries = parts.next(), let overlays = parts.next(), let below = parts.next(),
            let targets = parts.next(), let threads = parts.next(),
            let hasMore = parts.next()?.integer
        else { throw DamagedValue("the reply is truncated") }
        let changes = try self.amendments(overlays)
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

    /// Decodes pairs of a number and an amendment.
    static func amendments(_ reply: RedisReply) throws(DamagedValue)
        -> [SequenceNumber: StoredAmendment]
    {
        var amendments: [SequenceNumber: StoredAmendment] = [:]
        var parts = reply.elements
        while let sequence = parts.next(), let value = parts.next() {
            guard let number = sequence.integer.map({ Int($0) }) else {
                throw DamagedValue("an amendment is not what was stored")
            }
            amendments[number] = try self.amendment(value, of: number)
        }
        return amendments
    }

    static func amendment(_ value: RedisReply, of sequence: SequenceNumber) throws(DamagedValue)
        -> StoredAmendment
    {
        guard let amendment = StoredAmendment(value.bytes) else {
            throw DamagedValue("the amendment of message \(sequence) is not what was stored")
        }
        return amendment
    }

    /// An entry of the stream, whose id is `<sequence>-0`.
    static func message(
        _ entry: RedisReply, _ amendments: [SequenceNumber: StoredAmendment]
    ) throws(DamagedValue) -> Message {
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
        return amendments[sequence]?.applied(to: message) ?? message
    }
}
