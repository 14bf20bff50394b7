public import ChatModel
public import TestKit

/// A store in a temporary folder.
public struct TemporaryStore: ChatStore {
    // Declared first, so that the store closes its files before the folder is removed.
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
