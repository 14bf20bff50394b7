import ChatModel
import Synchronization

/// The log position of one message.
struct MessageIndexEntry {
    let conversation: Int
    let sequence: SequenceNumber
    let position: Int
    /// A hash of the author's id, used to count unread messages without reading them.
    let authorHash: Int
}

/// The positions of the newest messages, until the table `places` in the file has them.
///
/// If each message were written to `places` at once, it would change a page of its own. So entries
/// collect here until there are `generationSize`. Then they are sorted and flushed to the file in
/// that order, a part in each transaction, while the next generation collects.
///
/// After a crash, they are read again from the log after the `settled` position.
final class UnindexedMessages: Sendable {
    static let generationSize = 32_768

    private struct Generation {
        struct Row {
            let entry: MessageIndexEntry
            /// The row of the same conversation's previous message, or -1.
            let previous: Int32
        }

        var rows: [Row] = []
        var newest: [Int: Int32] = [:]

        mutating func append(_ entry: MessageIndexEntry) {
            let row = Int32(truncatingIfNeeded: self.rows.count)
            let previous = self.newest.updateValue(row, forKey: entry.conversation)
            self.rows.append(Row(entry: entry, previous: previous ?? -1))
        }

        /// Calls `visit` for a conversation's messages, newest first, until it returns false.
        /// Returns whether all messages were visited.
        @inline(__always)
        func walk(_ conversation: Int, _ visit: (MessageIndexEntry) -> Bool) -> Bool {
            var row = self.newest[conversation] ?? -1
            while row >= 0 {
                let current = self.rows[Int(row)]
                if !visit(current.entry) { return false }
                row = current.previous
            }
            return true
        }
    }

    private struct State {
        var sealed: Generation?
        var collecting = Generation()
        var flushedGenerations = 0

        func walk(_ conversation: Int, _ visit: (MessageIndexEntry) -> Bool) {
            if self.collecting.walk(conversation, visit) {
                _ = self.sealed?.walk(conversation, visit)
            }
        }
    }

    private let state = Mutex(State())

    /// Adds the messages of a committed transaction, and returns the number that have collected.
    func add(_ entries: [MessageIndexEntry]) -> Int {
        self.state.withLock { state in
            for entry in entries { state.collecting.append(entry) }
            return state.collecting.rows.count
        }
    }

    /// Seals a generation, and returns its entries in the order of `places`.
    func seal() -> [MessageIndexEntry] {
        let rows = self.state.withLock { state in
            precondition(
                state.sealed == nil,
                "a generation was sealed while the previous one was being flushed")
            state.sealed = state.collecting
            state.collecting = Generation()
            return state.sealed?.rows ?? []
        }
        return rows.map(\.entry).sorted {
            ($0.conversation, $0.sequence) < ($1.conversation, $1.sequence)
        }
    }

    /// Discards the sealed generation, because the file has its entries.
    func discardSealed() {
        // Returned out of the lock, so that readers do not wait for the deallocation.
        let sealed = self.state.withLock { state in
            let sealed = state.sealed
            state.sealed = nil
            state.flushedGenerations += 1
            return sealed
        }
        _ = sealed
    }

    /// The number of discarded generations. While this number stays the same, every message
    /// committed before a read began is in `places` or here.
    var flushedGenerations: Int { self.state.withLock { $0.flushedGenerations } }

    /// The entry of a conversation's newest message up to a log position, if it is unindexed.
    func newest(of conversation: Int, upTo position: Int = .max) -> MessageIndexEntry? {
        self.state.withLock { state in
            var newest: MessageIndexEntry?
            state.walk(conversation) { entry in
                if entry.position <= position { newest = entry }
                return newest == nil
            }
            return newest
        }
    }

    /// The entries of the unindexed messages in a window, up to a log position, newest first.
    func entries(of conversation: Int, in window: Range<SequenceNumber>, upTo position: Int = .max)
        -> [MessageIndexEntry]
    {
        self.state.withLock { state in
            var entries: [MessageIndexEntry] = []
            state.walk(conversation) { entry in
                if window.contains(entry.sequence), entry.position <= position {
                    entries.append(entry)
                }
                return entry.sequence > window.lowerBound
            }
            return entries
        }
    }
}
