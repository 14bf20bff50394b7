import ChatModel
public import Configuration
import EmbeddedStore
public import StoreKit

/// The stores of the program: the only list of them.
///
/// A line adds a store to the server. The option `--store`, its help, its errors and its completion
/// contain its forms, and operators read what its kind says.
public enum StoreList {
    /// The default of `--store`.
    static let standard = "sqlite:confab.db"

    /// In the order of errors and completion.
    public static let all = [
        StoreRow(.memory) { MemoryStore(history: $0.history, outbox: $0.outbox) },
        StoreRow(.sqlite, check: { try SQLiteStore.check(path: $0.store.address) }) {
            try SQLiteStore(path: $0.address, history: $0.history, outbox: $0.outbox)
        },
        StoreRow(.redis, check: SharedStore.check) { try SharedStore($0) },
    ]
}

/// A store for all users of the list.
public struct StoreRow: Sendable {
    public let kind: StoreKind
    fileprivate let check: @Sendable (ServeOptions) throws -> Void
    fileprivate let open: @Sendable (StoreSettings) throws -> any NodeStore

    /// - Parameters:
    ///   - check: looks for what would keep the store from opening, and changes nothing. It throws
    ///     `StoreUnavailable` if the store does not answer.
    ///   - open: opens or creates the store.
    public init(
        _ kind: StoreKind, check: @escaping @Sendable (ServeOptions) throws -> Void = { _ in },
        open: @escaping @Sendable (StoreSettings) throws -> any NodeStore
    ) {
        self.kind = kind
        self.check = check
        self.open = open
    }
}

extension [StoreRow] {
    /// The kinds for the command line.
    public var choices: StoreChoices {
        StoreChoices(self.map(\.kind), default: StoreList.standard)
    }

    /// Opens the configured store.
    public func open(_ settings: StoreSettings) throws -> any NodeStore {
        do {
            return try self.row(of: settings.options).open(settings)
        } catch let failure as StoreFailure {
            throw StoreProblem(description: "--store: \(failure)")
        }
    }

    /// Throws why the configured store could not be opened.
    public func check(_ options: ServeOptions) throws {
        try self.row(of: options).check(options)
    }

    private func row(of options: ServeOptions) -> StoreRow {
        guard let row = self.first(where: { $0.kind == options.store.kind }) else {
            preconditionFailure("the options name a store that is not in this list")
        }
        return row
    }
}

/// Why the configured store cannot be opened.
struct StoreProblem: Error, CustomStringConvertible {
    let description: String
}

/// The store does not answer, so it may open later.
public struct StoreUnavailable: Error, CustomStringConvertible {
    public let description: String

    public init(description: String) { self.description = description }
}
