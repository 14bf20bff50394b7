public import ChatModel
import Configuration
import EngineIO
import RoomsDialect

/// The configuration of a node, as far as a dialect may need it.
public struct DialectSettings: Sendable {
    /// A secret from which a dialect derives its keys. All nodes of a cluster have the same.
    public let secret: [UInt8]
    public let clusterName: String
    public let limits: Limits
    /// The access of conversations that a request creates without naming one.
    public let defaultAccess: ConversationRecord.JoinPolicy

    public init(
        secret: [UInt8], clusterName: String, limits: Limits = Limits(),
        defaultAccess: ConversationRecord.JoinPolicy = .open
    ) {
        self.defaultAccess = defaultAccess
        self.secret = secret
        self.clusterName = clusterName
        self.limits = limits
    }
}

extension RoomsDialect {
    init(_ settings: DialectSettings) {
        let limits = settings.limits
        self.init(
            key: RecoveryKey(derivedFrom: settings.secret, cluster: settings.clusterName),
            engine: EngineSettings(
                pingInterval: Int64(limits.enginePingInterval),
                pingTimeout: Int64(limits.enginePingTimeout),
                maxPayload: limits.enginePayloadBytes),
            connectTimeout: Int64(limits.engineConnectTimeout))
    }
}
