public import ChatModel
public import TestKit

/// A store and the folder that it lives in.
public struct TemporaryStore: ChatStore {
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
