/// Identifies an operation of the store until it is answered.
struct StoreOperationID: Hashable, Sendable {
    let rawValue: UInt64
}
