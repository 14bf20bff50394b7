import CHiredis
import RedisClient

/// The property that holds for any bytes that may be replies. The fuzzer (`script/fuzz redis`) and
/// the corpus in the ordinary tests check it.
enum RedisReplyProperty {
    static let byteLimit = 100_000

    /// The reader returns the same replies however the bytes are cut, and the same as hiredis' own
    /// functions. It also rejects the same bytes.
    ///
    /// - Returns: whether all bytes were accepted.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        let whole = Self.read([bytes])
        let byteWise = Self.read(bytes.map { [$0] })
        precondition(
            whole.replies == byteWise.replies && whole.isRefused == byteWise.isRefused,
            "\(whole) \(byteWise)")
        // hiredis' own tree would allocate memory for an array's elements before they arrive.
        if !bytes.contains(UInt8(ascii: "*")) {
            let oracle = Self.readByHiredis(bytes)
            precondition(
                whole.replies == oracle.replies && whole.isRefused == oracle.isRefused,
                "\(whole) \(oracle)")
        }
        return !whole.isRefused
    }

    static func read(_ pieces: [[UInt8]], byteLimit: Int = RedisReplyProperty.byteLimit) -> (
        replies: [RedisReplyValue], isRefused: Bool
    ) {
        let reader = RedisReplyReader(byteLimit: byteLimit)
        var replies: [RedisReplyValue] = []
        for piece in pieces {
            do throws(RedisReplyError) {
                try Self.feed(piece, to: reader)
                while let reply = try reader.next() { replies.append(RedisReplyValue(reply)) }
            } catch {
                return (replies, true)
            }
        }
        return (replies, false)
    }

    static func feed(_ bytes: [UInt8], to reader: RedisReplyReader) throws(RedisReplyError) {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(RedisReplyError) in try reader.feed(bytes) }
        }
        try result.get()
    }

    private static func readByHiredis(_ bytes: [UInt8]) -> (
        replies: [RedisReplyValue], isRefused: Bool
    ) {
        guard let reader = redisReaderCreate() else { preconditionFailure("no memory") }
        defer { redisReaderFree(reader) }
        var replies: [RedisReplyValue] = []
        _ = bytes.withUnsafeBytes {
            redisReaderFeed(reader, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
        while true {
            var reply: UnsafeMutableRawPointer?
            guard redisReaderGetReply(reader, &reply) == REDIS_OK else { return (replies, true) }
            guard let reply else { return (replies, false) }
            replies.append(Self.answer(reply.assumingMemoryBound(to: redisReply.self)))
            freeReplyObject(reply)
        }
    }

    private static func answer(_ reply: UnsafeMutablePointer<redisReply>) -> RedisReplyValue {
        let bytes = UnsafeRawBufferPointer(
            start: reply.pointee.str, count: reply.pointee.str == nil ? 0 : Int(reply.pointee.len))
        switch reply.pointee.type {
        case REDIS_REPLY_STATUS: return .status(String(decoding: bytes, as: UTF8.self))
        case REDIS_REPLY_ERROR: return .error(String(decoding: bytes, as: UTF8.self))
        case REDIS_REPLY_INTEGER: return .integer(reply.pointee.integer)
        case REDIS_REPLY_STRING: return .bytes([UInt8](bytes))
        default: return .null
        }
    }
}
