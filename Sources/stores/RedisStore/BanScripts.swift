import Bytes
import ChatModel
import RedisClient

/// The script for bans. One hash `p:{c}:bans` holds all of them, so that a node reads them with one
/// command: `<tenant>:<user>` or `<tenant>:<user>:<conversation>`, percent-encoded, has a
/// `StoredBan`.
enum BanScripts {
    /// Stores a ban. KEYS: the hash. ARGV: the field, the value, the most bans, and the time.
    ///
    /// Returns 1, or 0 if there is no place. A full hash first loses the bans that have ended;
    /// their values begin with their ends.
    static let put = """
        #!lua
        local key = KEYS[1]
        local count = redis.pcall('HLEN', key)
        if type(count) == 'table' then
          return redis.error_reply('DAMAGED ' .. key .. ' is not a hash')
        end
        if count >= tonumber(ARGV[3]) and redis.call('HEXISTS', key, ARGV[1]) == 0 then
          local entries, removed = redis.call('HGETALL', key), 0
          for index = 1, #entries, 2 do
            local ending = tonumber(string.match(entries[index + 1], '^(%d+) '))
            if ending and ending > 0 and ending <= tonumber(ARGV[4]) then
              redis.call('HDEL', key, entries[index])
              removed = removed + 1
            end
          end
          if count - removed >= tonumber(ARGV[3]) then return 0 end
        end
        redis.call('HSET', key, ARGV[1], ARGV[2])
        return 1
        """
}

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
