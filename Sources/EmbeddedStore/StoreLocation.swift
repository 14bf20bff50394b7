/// Where an embedded store keeps its conversations.
public enum StoreLocation: Sendable, Equatable {
    /// In this process, as long as it lives.
    case memory
    /// In a file of this path and the files beside it.
    case sqlite(path: String)
}
