import ChatModel
import Synchronization

/// Where one message lies in the log.
struct MessagePlace {
    let conversation: Int
    let sequence: SequenceNumber
    let position: Int
    /// A hash of who wrote it, by which unread messages are counted without reading them.
    let author: Int
}

/// Knows where the newest messages lie, until `places` in the file does.
///
/// Written to `places` at once, every message would change a page of its own. So places gather here until there are `generationSize`,
/// are sorted, and go into the file in that order, some with each transaction, while the next ones gather. After a crash they are
/// read again from the log behind the `settled` position.
final class FreshMessages: Sendable {
    static let generationSize = 32_768

    private struct Generation {
        struct Row {
            let place: MessagePlace
            /// The row of the same conversation's message before, or -1.
            let previous: Int32
        }

        var rows: [Row] = []
        var newest: [Int: Int32] = [:]

        mutating func append(_ place: MessagePlace) {
            let row = Int32(truncatingIfNeeded: self.rows.count)
            let previous = self.newest.updateValue(row, forKey: place.conversation)
            self.rows.append(Row(place: place, previous: previous ?? -1))
        }

        /// Calls `visit` for a conversation's messages, newest first, until it answers false, and says whether it went to the end.
        @inline(__always)
        func walk(_ conversation: Int, _ visit: (MessagePlace) -> Bool) -> Bool {
            var row = self.newest[conversation] ?? -1
            while row >= 0 {
                let found = self.rows[Int(row)]
                if !visit(found.place) { return false }
                row = found.previous
            }
            return true
        }
    }

    private struct State {
        var settling: Generation?
        var gathering = Generation()
        var settledGenerations = 0

        func walk(_ conversation: Int, _ visit: (MessagePlace) -> Bool) {
            if self.gathering.walk(conversation, visit) { _ = self.settling?.walk(conversation, visit) }
        }
    }

    private let state = Mutex(State())

    /// Takes what a transaction has stored; says how many gather.
    func publish(_ places: [MessagePlace]) -> Int {
        self.state.withLock { state in
            for place in places { state.gathering.append(place) }
            return state.gathering.rows.count
        }
    }

    /// Ends a generation, and answers it in the order of `places`.
    func seal() -> [MessagePlace] {
        let rows = self.state.withLock { state in
            precondition(state.settling == nil, "a generation was sealed before the one before it was settled")
            state.settling = state.gathering
            state.gathering = Generation()
            return state.settling?.rows ?? []
        }
        return rows.map(\.place).sorted { ($0.conversation, $0.sequence) < ($1.conversation, $1.sequence) }
    }

    /// Forgets the sealed generation: the file has it.
    func settled() {
        // Freed behind the lock, which readers wait for.
        let done = self.state.withLock { state in
            let done = state.settling
            state.settling = nil
            state.settledGenerations += 1
            return done
        }
        _ = done
    }

    /// How many generations have been forgotten. What was committed before a look at the file began, and is not in `places` there, is found
    /// here as long as this stays the same.
    var settledGenerations: Int { self.state.withLock { $0.settledGenerations } }

    /// The place of a conversation's newest message up to a position in the log, if that is fresh.
    func newest(of conversation: Int, upTo position: Int = .max) -> MessagePlace? {
        self.state.withLock { state in
            var newest: MessagePlace?
            state.walk(conversation) { place in
                if place.position <= position { newest = place }
                return newest == nil
            }
            return newest
        }
    }

    /// The fresh ones of these messages up to a position in the log, newest first.
    func places(of conversation: Int, in window: Range<SequenceNumber>, upTo position: Int = .max) -> [MessagePlace] {
        self.state.withLock { state in
            var places: [MessagePlace] = []
            state.walk(conversation) { place in
                if window.contains(place.sequence), place.position <= position { places.append(place) }
                return place.sequence > window.lowerBound
            }
            return places
        }
    }
}
