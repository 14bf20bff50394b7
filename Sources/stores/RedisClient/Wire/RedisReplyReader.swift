internal import CHiredis

/// Why the reader rejects bytes.
public enum RedisReplyError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Not RESP2, or arrays nested more than eight deep; with hiredis' text.
    case malformed(String)
    /// The reply exceeds the size limit.
    case tooLarge(limitBytes: Int)

    public var description: String {
        switch self {
        case .malformed(let reason): "The server sent no valid Redis reply: \(reason)."
        case .tooLarge(let limit): "The server's reply is larger than \(limit) bytes."
        }
    }
}

/// Parses RESP2 replies from bytes, in pieces of any size.
///
/// hiredis parses; its callbacks write into a `ReplyStorage`. Each connection has one reader, owned
/// by one loop; it is not Sendable.
public final class RedisReplyReader {
    private var reader: UnsafeMutablePointer<redisReader>
    private let storage: UnsafeMutablePointer<ReplyStorage>
    /// The maximum size of one reply, in hiredis' buffer and in the storage.
    private let byteLimit: Int

    /// The limit for a status, an error or a number; Lua errors are the longest lines.
    private static let lineByteLimit = 64 << 10

    /// - Parameter byteLimit: at most 1 GiB. Most replies beyond it are rejected before their bytes
    ///   are stored.
    public init(byteLimit: Int = 64 << 20) {
        precondition(
            byteLimit > 0 && byteLimit <= 1 << 30, "Replies of \(byteLimit) bytes cannot be read.")
        self.byteLimit = byteLimit
        self.storage = .allocate(capacity: 1)
        self.storage.initialize(to: ReplyStorage(byteLimit: byteLimit))
        self.reader = Self.make(self.storage)
    }

    deinit {
        redisReaderFree(self.reader)
        self.storage.pointee.deallocate()
        self.storage.deinitialize(count: 1).deallocate()
    }

    /// Discards everything, for a new connection.
    public func reset() {
        redisReaderFree(self.reader)
        self.storage.pointee.clear()
        self.reader = Self.make(self.storage)
    }

    /// Appends received bytes. Pieces of a few kilobytes are best, each followed by `next()` until
    /// it returns nil: hiredis removes parsed bytes a kilobyte at a time and moves the rest.
    public func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisReplyError) {
        guard
            redisReaderFeed(
                self.reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
                == REDIS_OK
        else {
            throw self.failure
        }
    }

    /// The next complete reply; nil when more bytes are needed. Valid until the next call of any
    /// function here.
    @inline(__always)
    public func next() throws(RedisReplyError) -> RedisReply? {
        if self.reader.pointee.ridx < 0 { self.storage.pointee.clear() }
        var reply: UnsafeMutableRawPointer?
        guard redisReaderGetReply(self.reader, &reply) == REDIS_OK else { throw self.failure }
        if reply != nil {
            return RedisReply(nodes: self.storage.pointee.nodes, text: self.storage.pointee.text)
        }
        try self.checkPendingSize()
        return nil
    }

    /// Checks the announced size of an incomplete reply, and that a line ends.
    private func checkPendingSize() throws(RedisReplyError) {
        let waiting = confab_reader_waiting(self.reader)
        guard waiting <= self.byteLimit - self.storage.pointee.byteCount else {
            throw .tooLarge(limitBytes: self.byteLimit)
        }
        guard confab_reader_endless(self.reader, Self.lineByteLimit) == 0 else {
            throw .malformed("a line does not end")
        }
    }

    private var failure: RedisReplyError {
        if self.storage.pointee.exceedsLimit { return .tooLarge(limitBytes: self.byteLimit) }
        let reason = withUnsafeBytes(of: self.reader.pointee.errstr) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        return .malformed(reason.isEmpty ? "error \(self.reader.pointee.err)" : reason)
    }

    private static func make(_ store: UnsafeMutablePointer<ReplyStorage>) -> UnsafeMutablePointer<
        redisReader
    > {
        guard let reader = redisReaderCreateWithFunctions(Self.functions) else {
            preconditionFailure("There is no memory for a reader.")
        }
        reader.pointee.privdata = UnsafeMutableRawPointer(store)
        // Otherwise hiredis would release and reallocate a buffer of more than 16 kB whenever it is
        // empty.
        reader.pointee.maxbuf = 1 << 20
        return reader
    }
}

extension RedisReplyReader {
    // Written once and then only read; hiredis keeps its address.
    nonisolated(unsafe) private static let functions:
        UnsafeMutablePointer<redisReplyObjectFunctions> = {
            let functions = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
            functions.initialize(
                to: redisReplyObjectFunctions(
                    createString: RedisReplyReader.onString, createArray: RedisReplyReader.onArray,
                    createInteger: RedisReplyReader.onInteger,
                    createNil: RedisReplyReader.onNil, freeObject: nil))
            return functions
        }()

    private static let onString:
        @convention(c) (UnsafePointer<redisReadTask>?, UnsafeMutablePointer<CChar>?, Int) ->
            UnsafeMutableRawPointer? =
            { task, text, count in
                let kind: RedisReply.Kind =
                    switch task!.pointee.type {
                    case REDIS_REPLY_ERROR: .error
                    case REDIS_REPLY_STATUS: .status
                    default: .string
                    }
                return RedisReplyReader.add(task!) {
                    $0.append(kind, UnsafeRawBufferPointer(start: text, count: count))
                }
            }

    private static let onArray:
        @convention(c) (UnsafePointer<redisReadTask>?, Int32) -> UnsafeMutableRawPointer? = {
            task, count in
            if count == 0 { return RedisReplyReader.add(task!) { $0.append(.array) } }
            return RedisReplyReader.add(task!, isComplete: false) {
                $0.append(.array, number: Int64(count))
            }
        }

    private static let onInteger:
        @convention(c) (UnsafePointer<redisReadTask>?, Int64) -> UnsafeMutableRawPointer? = {
            task, number in
            RedisReplyReader.add(task!) { $0.append(.integer, number: number) }
        }

    private static let onNil:
        @convention(c) (UnsafePointer<redisReadTask>?) -> UnsafeMutableRawPointer? = { task in
            RedisReplyReader.add(task!) { $0.append(.null) }
        }

    /// Adds a value and closes the arrays that end with it. hiredis gets its index plus 1, because
    /// null means out of memory.
    @inline(__always)
    private static func add(
        _ task: UnsafePointer<redisReadTask>, isComplete isWhole: Bool = true,
        _ append: (inout ReplyStorage) -> Int?
    ) -> UnsafeMutableRawPointer? {
        let store = task.pointee.privdata.assumingMemoryBound(to: ReplyStorage.self)
        guard let index = append(&store.pointee) else { return nil }
        var last = task
        while isWhole, let parent = last.pointee.parent,
            last.pointee.idx == parent.pointee.elements - 1
        {
            store.pointee.end(Int(bitPattern: parent.pointee.obj) - 1, with: index)
            last = UnsafePointer(parent)
        }
        return UnsafeMutableRawPointer(bitPattern: index + 1)
    }
}
