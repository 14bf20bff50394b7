import ChatModel
import EmbeddedStore
import Glibc
import Synchronization

/// A store as trials use it: asked for something, it is waited for.
enum TrialStore {
    case memory(MemoryTables)
    case file(LocalStore, TrialAnswers)

    /// One in memory, or in a file of this directory.
    init(directory: String?, history: Int) {
        guard let directory else {
            self = .memory(MemoryTables(history: history))
            return
        }
        do {
            self = .file(
                try LocalStore.sqlite(path: directory + "/trial.db", history: history),
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
            // Nobody else may hold the tables while they are written, or they would be copied.
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

/// Where a store's threads put their answers.
final class TrialAnswers: StoreClient {
    private let answers = Mutex<[(StoreAnswer, StoreTicket)]>([])
    /// A byte for each answer.
    private let (reader, writer): (Int32, Int32)

    init() {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0, "no pipe can be made")
        (self.reader, self.writer) = (ends[0], ends[1])
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        self.answers.withLock { $0.append((answer, ticket)) }
        var byte: UInt8 = 0
        precondition(write(self.writer, &byte, 1) == 1)
    }

    /// So many answers, when they are there.
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
