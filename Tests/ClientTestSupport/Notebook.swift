import Synchronization

/// What is noted on any thread, to be read on another.
public final class Notebook<Note: Sendable>: Sendable {
    private let notes = Mutex<[Note]>([])

    public init() {}

    public func add(_ note: Note) {
        self.notes.withLock { $0.append(note) }
    }

    public var all: [Note] { self.notes.withLock { $0 } }
}
