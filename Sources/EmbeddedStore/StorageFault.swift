import ChatModel

/// Why something stored could not be read.
enum StorageFault: Error {
    case database(SQLiteFailure)
    /// A row is missing, or is not what was written.
    case damaged(String)
    /// The files are not those that were opened.
    case lost(StoreFailure)

    init(_ failure: SQLiteFailure) {
        self = failure.isCorruption ? .damaged(failure.message) : .database(failure)
    }

    func storeFailure(path: String) -> StoreFailure {
        switch self {
        case .database(let failure):
            StoreFailure("\(path): \(failure.summary)", effect: failure.effect)
        case .lost(let failure): failure
        case .damaged(let what): StoreFailure("\(path): it is damaged: \(what)", effect: .rejected)
        }
    }
}

extension SQLiteStatement {
    /// As `step()`, for reading: a page that makes no sense is damage to what it holds, not a failure of the database.
    @inline(__always)
    func next() throws(StorageFault) -> Bool {
        do {
            return try self.step()
        } catch {
            throw StorageFault(error)
        }
    }

    /// Runs a statement that answers no rows, and makes it ready for its next run. Whatever goes wrong, the transaction cannot go on.
    @inline(__always)
    func run() throws(StorageFault) {
        defer { self.reset() }
        do {
            _ = try self.step()
        } catch {
            throw .database(error)
        }
    }
}

extension StoreFailure {
    /// The same, where nobody can say what became of the writes.
    var withUnknownEffect: StoreFailure {
        StoreFailure(self.description, isRequestSpecific: self.isRequestSpecific, effect: .unknown)
    }
}
