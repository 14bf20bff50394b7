import ChatModel

/// The reason why a stored value could not be read.
enum StorageFault: Error {
    case database(SQLiteFailure)
    /// A row is missing or differs from what was written.
    case damaged(String)
    /// The files are no longer those that were opened.
    case lost(StoreFailure)

    init(_ failure: SQLiteFailure) {
        self = failure.isCorruption ? .damaged(failure.message) : .database(failure)
    }

    func storeFailure(path: String) -> StoreFailure {
        switch self {
        case .database(let failure):
            StoreFailure("\(path): \(failure.summary)", effect: failure.effect)
        case .lost(let failure): failure
        case .damaged(let problem):
            StoreFailure("\(path): it is damaged: \(problem)", effect: .rejected)
        }
    }
}

extension SQLiteStatement {
    /// As `step()`, for reading: an invalid page means damaged data, not a failed database.
    @inline(__always)
    func next() throws(StorageFault) -> Bool {
        do {
            return try self.step()
        } catch {
            throw StorageFault(error)
        }
    }

    /// Runs a statement without rows, and resets it. After any error the transaction must be rolled
    /// back.
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
    /// The same failure, with an unknown effect on the writes.
    var withUnknownEffect: StoreFailure {
        StoreFailure(self.description, isRequestSpecific: self.isRequestSpecific, effect: .unknown)
    }
}
