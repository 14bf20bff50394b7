public import Bytes
public import ChatModel
internal import Gateway

/// The settings with which a node creates conversations for operators.
public struct ConversationCreation: Sendable {
    /// The access if the request names none.
    let joinPolicy: ConversationRecord.JoinPolicy
    private let publicURL: String?
    /// Creates unpredictable ids.
    let makeID: @Sendable () -> ByteString

    /// - Parameters:
    ///   - publicURL: the base of links, without a trailing slash; nil for the client listener's
    ///     address.
    public init(
        joinPolicy: ConversationRecord.JoinPolicy, publicURL: String?,
        makeID: @escaping @Sendable () -> ByteString
    ) {
        self.joinPolicy = joinPolicy
        self.publicURL = publicURL
        self.makeID = makeID
    }

    /// The base of links, without a trailing slash.
    func linkBase(of gateway: Gateway) -> String {
        self.publicURL ?? gateway.clientURL
    }
}
