/// Why a store did not execute a request: a sentence for operators that names the file and the
/// cause.
public struct StoreFailure: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    /// The failure concerns only this request, or the stored data of one conversation, user, tenant
    /// or shard. Other requests still succeed.
    public let isRequestSpecific: Bool
    /// The effect on the request's writes.
    public let effect: Effect

    public enum Effect: Sendable {
        /// Nothing is written, and nothing will be. A retry may succeed in a moment.
        case none
        /// Like `none`, but the store accepts no writes until an operator or a failover changes
        /// that.
        case rejected
        /// The writes may be applied, or may be applied later under the epoch that they carry.
        case unknown
    }

    /// A list request with a cursor that the store did not return.
    public static let invalidCursor = StoreFailure(
        "after: it is not a valid cursor", isRequestSpecific: true, effect: .none)

    /// A repair by an owner that does not hold the shard any more.
    public static let repairFenced = StoreFailure(
        "another owner has claimed the shard; nothing was repaired", isRequestSpecific: true,
        effect: .none)

    public init(
        _ description: String, isRequestSpecific: Bool = false,
        effect: Effect = .unknown
    ) {
        self.description = description
        self.isRequestSpecific = isRequestSpecific
        self.effect = effect
    }
}
