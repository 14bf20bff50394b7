internal import CHiredis

/// Why bytes are no reply that we take.
public enum RedisReplyError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Not RESP2, or arrays in arrays more than eight deep; in hiredis' words.
    case malformed(String)
    /// More than a reply may have.
    case tooLarge(limitBytes: Int)

    public var description: String {
        switch self {
        case .malformed(let reason): "What the server sent is no Redis reply: \(reason)."
        case .tooLarge(let limit): "The server's reply is larger than \(limit) bytes."
        }
    }
}

/// Bytes of RESP2 to replies, in whatever pieces they come.
///
/// hiredis reads; its callbacks write into a `ReplyStorage`. One for each connection, and one loop owns it; it is not Sendable.
public final class RedisReplyReader {
    private var reader: UnsafeMutablePointer<redisReader>
    private let storage: UnsafeMutablePointer<ReplyStorage>
    /// What one reply may take, in the buffer and in the store.
    private let byteLimit: Int

    /// A status, an error, a number: Lua's errors are the longest lines that there are.
    private static let lineByteLimit = 64 << 10

    /// - Parameter byteLimit: at most 1 GiB; a reply beyond it is refused, mostly before its bytes are taken.
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

    /// Forgets everything: for another connection.
    public func reset() {
        redisReaderFree(self.reader)
        self.storage.pointee.clear()
        self.reader = Self.make(self.storage)
    }

    /// Takes what has arrived. Best in pieces of some kilobytes, each followed by `next()` until there is nothing more: what has been
    /// read is taken out of the buffer a kilobyte at a time, and the rest moved.
    public func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisReplyError) {
        guard
            redisReaderFeed(
                self.reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
                == REDIS_OK
        else {
            throw self.failure
        }
    }

    /// The next whole reply; nil when more bytes are needed. It is good until the next call of anything here.
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

    /// What a reply says of its size comes before its bytes, and a line may never end.
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
        // Else a buffer of more than 16 kB is given back, and asked for again, whenever it is empty.
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

    /// Adds a value, and ends the arrays that it is the last of. hiredis gets its place and 1, for null means that memory has run out.
    @inline(__always)
    private static func add(
        _ task: UnsafePointer<redisReadTask>, isComplete isWhole: Bool = true,
        _ append: (inout ReplyStorage) -> Int?
    ) -> UnsafeMutableRawPointer? {
        let store = task.pointee.privdata.assumingMemoryBound(to: ReplyStorage.self)
        guard let place = append(&store.pointee) else { return nil }
        var last = task
        while isWhole, let parent = last.pointee.parent,
            last.pointee.idx == parent.pointee.elements - 1
        {
            store.pointee.end(Int(bitPattern: parent.pointee.obj) - 1, with: place)
            last = UnsafePointer(parent)
        }
        return UnsafeMutableRawPointer(bitPattern: place + 1)
    }
}
