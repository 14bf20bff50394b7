import ChatModel
import EmbeddedStore
import Glibc
import Synchronization

/// A store for trials that blocks until a request is answered.
enum TrialStore {
    case memory(MemoryTables)
    case file(SQLiteStore, TrialAnswers)

    /// A store in memory, or in a file of this directory.
    init(directory: String?, history: Int) {
        guard let directory else {
            self = .memory(MemoryTables(history: history))
            return
        }
        do {
            self = .file(
                try SQLiteStore(path: directory + "/trial.db", history: history),
                TrialAnswers())
        } catch {
            fatalError("\(error)")
        }
    }

    mutating func execute(_ requests: [(request: StoreRequest, ticket: StoreTicket)]) -> [(
        StoreAnswer, StoreTicket
    )] {
        switch self {
        case .memory(var tables):
            // The tables must have only one reference while they are written; otherwise they would
            // be copied.
            self = .memory(MemoryTables(history: 0))
            let answers = requests.map { (tables.execute($0.request), $0.ticket) }
            self = .memory(tables)
            return answers
        case .file(let store, let answers):
            for (request, ticket) in requests {
                store.submit(request, ticket: ticket, for: answers)
            }
            return answers.take(requests.count)
        }
    }

    func close() {
        if case .file(let store, _) = self { store.close() }
    }
}

/// Collects the answers of a store's threads.
final class TrialAnswers: StoreClient {
    private let answers = Mutex<[(StoreAnswer, StoreTicket)]>([])
    /// A pipe with one byte per answer.
    private let (reader, writer): (Int32, Int32)

    init() {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0, "cannot create a pipe")
        (self.reader, self.writer) = (ends[0], ends[1])
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        self.answers.withLock { $0.append((answer, ticket)) }
        var byte: UInt8 = 0
        precondition(write(self.writer, &byte, 1) == 1)
    }

    /// Blocks until this number of answers has arrived.
    func take(_ wanted: Int) -> [(StoreAnswer, StoreTicket)] {
        var byte: UInt8 = 0
        for _ in 0..<wanted { precondition(read(self.reader, &byte, 1) == 1) }
        return self.answers.withLock { gathered in
            defer { gathered = [] }
            return gathered
        }
    }

    deinit {
        Glibc.close(self.reader)
        Glibc.close(self.writer)
    }
}
