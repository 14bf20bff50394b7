import Bytes
internal import Glibc
import JSON
import Synchronization

/// The outbox in a file: one JSON object per line, appended and synced before a message is sent.
///
/// Only one client may use the file, because two would send in any order. The lock is released when
/// the process ends, in any way.
final class PendingMessageStore: Sendable {
    fileprivate struct StoredItem {
        let conversation: String
        let item: PendingMessage
    }

    private struct State {
        var descriptor: Int32
        var items: [StoredItem]
    }

    private let path: String
    private let state: Mutex<State>

    /// Opens or creates the file, and removes the records of stored messages from it.
    init(_ path: String) throws(ConfabError) {
        self.path = path
        let old = try Self.openLocked(path)
        defer { Self.unlock(old) }
        let items = try Self.read(old, path)
        self.state = Mutex(State(descriptor: try Self.replace(path, items), items: items))
    }

    deinit { self.close() }

    /// The messages of a conversation, in order.
    func items(of conversation: String) -> [PendingMessage] {
        self.state.withLock { state in
            state.items.filter { $0.conversation == conversation }.map(\.item)
        }
    }

    /// Adds a message at the end, or writes its new state. It is on the disk when this returns.
    func save(_ item: PendingMessage, of conversation: String) throws(ConfabError) {
        let stored = StoredItem(conversation: conversation, item: item)
        let result = self.state.withLock { state in
            Result { () throws(ConfabError) in
                try Self.append(Self.record(stored), to: state.descriptor, self.path)
                state.items.apply(stored)
            }
        }
        try result.get()
    }

    /// Removes a message that is stored by the server or discarded.
    func forget(_ localID: String, of conversation: String) throws(ConfabError) {
        let result = self.state.withLock { state in
            Result { () throws(ConfabError) in
                let index = state.items.firstIndex {
                    $0.conversation == conversation && $0.item.localID == localID
                }
                guard let index else { return }
                state.items.remove(at: index)
                // An empty file needs no records.
                guard !state.items.isEmpty else {
                    guard ftruncate(state.descriptor, 0) == 0,
                        lseek(state.descriptor, 0, SEEK_SET) == 0
                    else { throw Self.systemError(self.path) }
                    return
                }
                let record: JSONTree = [
                    "conversation": .string(conversation), "local_id": .string(localID),
                    "is_done": true,
                ]
                try Self.append(record, to: state.descriptor, self.path)
            }
        }
        try result.get()
    }

    func close() {
        self.state.withLock { state in
            Self.unlock(state.descriptor)
            state.descriptor = -1
        }
    }

    // MARK: The file

    private static func openLocked(_ path: String) throws(ConfabError) -> Int32 {
        while true {
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw Self.systemError(path) }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let error =
                    errno == EWOULDBLOCK
                    ? ConfabError.store(path: path, reason: "it is in use by another client")
                    : Self.systemError(path)
                Glibc.close(descriptor)
                throw error
            }
            // Another client may have replaced the file before this one got the lock.
            var (opened, current) = (stat(), stat())
            if fstat(descriptor, &opened) == 0, stat(path, &current) == 0,
                opened.st_ino == current.st_ino
            {
                return descriptor
            }
            Glibc.close(descriptor)
        }
    }

    /// Closes the file and releases its lock, which close() alone does not do at once: a child
    /// process between fork and exec also has the descriptor.
    private static func unlock(_ descriptor: Int32) {
        guard descriptor >= 0 else { return }
        flock(descriptor, LOCK_UN)
        Glibc.close(descriptor)
    }

    /// Replaces the file, so that a crash leaves either the old content or the new one.
    ///
    /// - Returns: the new file, which is locked.
    private static func replace(_ path: String, _ items: [StoredItem]) throws(ConfabError)
        -> Int32
    {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        do throws(ConfabError) {
            guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                throw Self.systemError(path)
            }
            for item in items {
                try Self.append(Self.record(item), to: descriptor, path)
            }
            guard rename(temporary, path) == 0 else { throw Self.systemError(path) }
            return descriptor
        } catch {
            Self.unlock(descriptor)
            throw error
        }
    }

    private static func read(_ descriptor: Int32, _ path: String) throws(ConfabError)
        -> [StoredItem]
    {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.systemError(path)
            }
            bytes += chunk[..<count]
        }
        var items: [StoredItem] = []
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        // A record after the last line end is incomplete: the program ended while it wrote it.
        for (number, line) in lines.dropLast().enumerated() {
            guard let record = try? JSONTree(parsing: Array(line).span.bytes),
                let conversation = record["conversation"]?.stringValue,
                let localID = record["local_id"]?.stringValue
            else {
                throw .store(path: path, reason: "line \(number + 1) is not a record of an outbox")
            }
            if record["is_done"]?.boolValue == true {
                items.removeAll { $0.conversation == conversation && $0.item.localID == localID }
                continue
            }
            guard let text = record["text"]?.stringValue, let since = record["since"]?.integerValue
            else {
                throw .store(path: path, reason: "line \(number + 1) has no text or no time")
            }
            var item = PendingMessage(
                localID: localID, text: text, to: record["to"]?.stringValue,
                since: Timestamp(milliseconds: Int64(since)))
            item.error = record["error"]?.stringValue
            item.replyTo = record["reply_to"]?.integerValue
            item.mentioned = MentionedUsers(json: record["mentions"])
            // It may have been sent.
            item.tries = 1
            items.apply(StoredItem(conversation: conversation, item: item))
        }
        return items
    }

    private static func record(_ stored: StoredItem) -> JSONTree {
        let item = stored.item
        return [
            "conversation": .string(stored.conversation), "local_id": .string(item.localID),
            "text": .string(item.text), "to": item.to.map { .string($0) } ?? .null,
            "since": .integer(item.since.milliseconds),
            "error": item.error.map { .string($0) } ?? .null,
            "reply_to": item.replyTo.map { .integer($0) } ?? .null,
            "mentions": item.mentioned.json ?? .null,
        ]
    }

    private static func append(_ record: JSONTree, to descriptor: Int32, _ path: String)
        throws(ConfabError)
    {
        let line = Array((record.text + "\n").utf8)
        var written = 0
        while written < line.count {
            let count = line[written...].withUnsafeBytes {
                write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.systemError(path) }
            written += count
        }
        guard fdatasync(descriptor) == 0 else { throw Self.systemError(path) }
    }

    private static func systemError(_ path: String) -> ConfabError {
        .store(path: path, reason: String(cString: strerror(errno)))
    }
}

extension [PendingMessageStore.StoredItem] {
    /// Replaces the message with the same id, or adds it at the end.
    fileprivate mutating func apply(_ stored: PendingMessageStore.StoredItem) {
        let index = self.firstIndex {
            $0.conversation == stored.conversation && $0.item.localID == stored.item.localID
        }
        if let index { self[index] = stored } else { self.append(stored) }
    }
}
