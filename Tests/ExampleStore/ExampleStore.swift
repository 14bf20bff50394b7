public import ChatModel
public import Configuration
import EmbeddedStore
public import StoreKit
import Synchronization

/// A third store, which proves that only the program's list names one: tables with names, in the
/// memory of this process, which outlive their nodes.
public final class ExampleStore: ChatStore, NodeStore {
    private static let all = Mutex<[String: MemoryStore]>([:])
    private let tables: MemoryStore

    public init(_ settings: StoreSettings) {
        self.tables = Self.all.withLock { all in
            let tables =
                all[settings.address]
                ?? MemoryStore(history: settings.history, outbox: settings.outbox)
            all[settings.address] = tables
            return tables
        }
    }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        self.tables.submit(request, ticket: ticket, for: client)
    }

    /// Throws if no store of this name can be opened.
    public static func check(_ options: ServeOptions) throws {
        guard options.store.address != "busy" else {
            throw StoreFailure("example:busy: another node has opened it")
        }
    }
}

extension StoreKind {
    public static let example = StoreKind(
        "example", title: "the example", forms: ["example:NAME"],
        durability: "in the tables of the example", hasUnlimitedHistory: true
    ) { (kind: StoreKind, scheme: String, name: String) throws(ValueProblem) in
        guard scheme == kind.name else { return nil }
        guard !name.isEmpty else { throw ValueProblem("the name is missing: example:NAME") }
        return StoreLocation(kind, name, description: "example:\(name)")
    }
}
