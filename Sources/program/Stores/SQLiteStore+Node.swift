public import Configuration
public import EmbeddedStore
public import JSON
public import StoreKit
public import Telemetry

extension StoreKind {
    /// In a SQLite database, which is created if it is missing.
    public static let sqlite = StoreKind(
        "sqlite", title: "SQLite", forms: ["sqlite:PATH"], durability: "synced to local disk",
        hasUnlimitedHistory: true
    ) { (kind: StoreKind, scheme: String, path: String) throws(ValueProblem) in
        guard scheme == kind.name else { return nil }
        guard !path.isEmpty else { throw ValueProblem("the path is missing: sqlite:PATH") }
        return StoreLocation(kind, path, description: "sqlite:\(path)", path: path)
    }
}

extension SQLiteStore: NodeStore {
    /// The time limit of the check of the database's pages.
    private static let integrityLimit = Duration.seconds(5)

    public func add(to snapshot: inout MetricsSnapshot) { self.statistics.add(to: &snapshot) }

    public func databaseFacts() async -> JSONTree? {
        let report = await self.inspect(within: Self.integrityLimit)
        let integrity =
            switch report.integrity {
            case .intact: "ok"
            case .unfinished: "unfinished"
            case .damaged(let reason): reason
            }
        return [
            "path": .string(report.path), "bytes": .integer(report.byteCount),
            "free_bytes": .integer(report.freeBytes), "total_bytes": .integer(report.totalBytes),
            "file_system": report.volatileFileSystem.map { .string($0) } ?? .null,
            "exposed_files": .array(report.exposedFiles.map { .string($0) }),
            "journal_mode": .string(report.journalMode), "quick_check": .string(integrity),
        ]
    }
}
