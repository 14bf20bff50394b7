import DialectKit
import EngineIO

/// The dialect that uses Engine.IO, if the node has one.
struct EngineEndpoint: Sendable {
    /// The index in the gateway's dialects.
    let dialect: Int
    let settings: EngineSettings
    let paths: [StaticString]

    init?(_ settings: GatewaySettings) {
        for (index, dialect) in settings.dialects.enumerated() {
            guard case .engine(let engine, paths: let paths) = dialect.transport else { continue }
            self.dialect = index
            self.settings = engine
            self.paths = paths
            return
        }
        return nil
    }
}
