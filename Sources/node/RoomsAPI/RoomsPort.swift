public import Bytes
public import ChatModel
public import Gateway

/// The node, as the API uses it.
public protocol RoomsPort: AnyObject, Sendable {
    /// Nil if there is no answer in time.
    ///
    /// - Parameter client: to which the stored bytes are counted.
    func command(
        _ command: ChatCommand, in key: ConversationKey, by client: LimitKey, within time: Duration
    ) async -> ChatAnswer?
    /// The active ban of a user for a whole tenant.
    func ban(of user: UserID, in tenant: ByteString) -> Ban?
    func beginSearch(for searcher: LimitKey) throws(SearchRefusal) -> SearchPermit
    func read(_ request: StoreRequest, within time: Duration) async -> StoreAnswer?
    /// Returns when the client may read a further page for the answer to one request.
    func awaitFurtherRead(by client: LimitKey) async
}

extension Gateway: RoomsPort {}
