import Bytes
import ChatModel
import RedisClient

/// The text of a ban in Redis: `until since byte-count operator reason`, without a blank between
/// the last two. `until` is 0 for a ban without an end.
enum StoredBan {
    static func field(_ subject: Ban.Subject) -> ByteString {
        var text = ByteBuffer(capacity: 64)
        text.append(percentEncoding: subject.tenant)
        text.append(":")
        text.append(percentEncoding: subject.user)
        if let conversation = subject.conversation {
            text.append(":")
            text.append(percentEncoding: conversation)
        }
        return ByteString(text.text)
    }

    static func value(_ ban: Ban) -> ByteString {
        var text = ByteBuffer(capacity: 64)
        text.append(number: ban.until?.milliseconds ?? 0)
        text.append(number: ban.since.milliseconds)
        text.append(number: ban.operatorName.utf8.count)
        text.append(text: ban.operatorName)
        text.append(text: ban.reason)
        return ByteString(text.text)
    }

    /// All bans of the hash, from the reply to HGETALL. A damaged one does not keep the others from
    /// being enforced.
    static func answer(_ reply: RedisReply) -> StoreAnswer {
        var bans: [Ban] = []
        var damaged: [StoreFailure] = []
        var parts = reply.elements
        while let field = parts.next(), let value = parts.next() {
            guard let subject = self.subject(field.string),
                let ban = self.ban(value.bytes, of: subject)
            else {
                let damage = DamagedValue("\(field.string) is not what was stored")
                damaged.append(StoreFailure(damage, about: StoreRequest.bans.subject))
                continue
            }
            bans.append(ban)
        }
        return .bans(bans, damaged: damaged)
    }

    private static func subject(_ field: String) -> Ban.Subject? {
        let parts = field.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            .compactMap { PercentEncoding.decode($0).map { ByteString($0) } }
        guard parts.count == 2 || parts.count == 3 else { return nil }
        return Ban.Subject(
            tenant: parts[0], user: parts[1], conversation: parts.count == 3 ? parts[2] : nil)
    }

    private static func ban(_ value: UnsafeRawBufferPointer, of subject: Ban.Subject) -> Ban? {
        var rest = FieldReader(value)
        guard let until = rest.nextNumber(), let since = rest.nextNumber(),
            let size = rest.nextNumber(), let operatorName = rest.nextField(byteCount: size)?.text
        else { return nil }
        return Ban(
            subject, until: until == 0 ? nil : Timestamp(milliseconds: until), reason: rest.text,
            by: operatorName, since: Timestamp(milliseconds: since))
    }
}
