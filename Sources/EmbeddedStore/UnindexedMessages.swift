import ChatModel
import Synchronization

/// Where one message lies in the log.
struct MessageIndexEntry {
    let conversation: Int
    let sequence: SequenceNumber
    let position: Int
    /// A hash of who wrote it, by which unread messages are counted without reading them.
    let authorHash: Int
}

/// Knows where the newest messages lie, until `places` in the file does.
///
/// Written to `places` at once, every message would change a page of its own. So places gather here until there are `generationSize`,
/// are sorted, and go into the file in that order, some with each transaction, while the next ones gather. After a crash they are
/// read again from the log behind the `settled` position.
final class UnindexedMessages: Sendable {
    static let generationSize = 32_768

    private struct Generation {
        struct Row {
            let entry: MessageIndexEntry
            /// The row of the same conversation's message before, or -1.
            let previous: Int32
        }

        var rows: [Row] = []
        var newest: [Int: Int32] = [:]

        mutating func append(_ place: MessageIndexEntry) {
            let row = Int32(truncatingIfNeeded: self.rows.count)
            let previous = self.newest.updateValue(row, forKey: place.conversation)
            self.rows.append(Row(entry: place, previous: previous ?? -1))
        }

        /// Calls `connectCount` for a conversation's messages, newest first, until it answers false, and says whether it went to the end.
        @inline(__always)
        func walk(_ conversation: Int, _ visit: (MessageIndexEntry) -> Bool) -> Bool {
            var row = self.newest[conversation] ?? -1
            while row >= 0 {
                let found = self.rows[Int(row)]
                if !visit(found.entry) { return false }
                row = found.previous
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

    /// Takes what a transaction has stored; says how many gather.
    func add(_ places: [MessageIndexEntry]) -> Int {
        self.state.withLock { state in
            for place in places { state.collecting.append(place) }
            return state.collecting.rows.count
        }
    }

    /// Ends a generation, and answers it in the order of `places`.
    func seal() -> [MessageIndexEntry] {
        let rows = self.state.withLock { state in
            precondition(
                state.sealed == nil, "a generation was sealed before the one before it was settled")
            state.sealed = state.collecting
            state.collecting = Generation()
            return state.sealed?.rows ?? []
        }
        return rows.map(\.entry).sorted {
            ($0.conversation, $0.sequence) < ($1.conversation, $1.sequence)
        }
    }

    /// Forgets the sealed generation: the file has it.
    func discardSealed() {
        // Freed behind the lock, which readers wait for.
        let done = self.state.withLock { state in
            let done = state.sealed
            state.sealed = nil
            state.flushedGenerations += 1
            return done
        }
        _ = done
    }

    /// How many generations have been forgotten. What was committed before a look at the file began, and is not in `places` there, is found
    /// here as long as this stays the same.
    var flushedGenerations: Int { self.state.withLock { $0.flushedGenerations } }

    /// The place of a conversation's newest message up to a position in the log, if that is fresh.
    func newest(of conversation: Int, upTo position: Int = .max) -> MessageIndexEntry? {
        self.state.withLock { state in
            var newest: MessageIndexEntry?
            state.walk(conversation) { place in
                if place.position <= position { newest = place }
                return newest == nil
            }
            return newest
        }
    }

    /// The fresh ones of these messages up to a position in the log, newest first.
    func entries(of conversation: Int, in window: Range<SequenceNumber>, upTo position: Int = .max)
        -> [MessageIndexEntry]
    {
        self.state.withLock { state in
            var places: [MessageIndexEntry] = []
            state.walk(conversation) { place in
                if window.contains(place.sequence), place.position <= position {
                    places.append(place)
                }
                return place.sequence > window.lowerBound
            }
            return places
        }
    }
}
