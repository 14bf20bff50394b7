public import ChatModel
import Foundation

/// A folder of a test's own, gone with the last who holds it.
public final class TemporaryFolder: Sendable {
    public let path: String

    public init() throws {
        self.path = FileManager.default.temporaryDirectory.path + "/confab-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.path)
    }
}

/// A store and the folder that it lives in.
public struct HousedStore: ChatStore {
    // The store goes first, so that it closes its files before the folder goes.
    private let store: any ChatStore
    private let folder: TemporaryFolder

    public init(_ open: (TemporaryFolder) throws -> any ChatStore) throws {
        self.folder = try TemporaryFolder()
        self.store = try open(self.folder)
    }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        self.store.submit(request, ticket: ticket, for: client)
    }
}
