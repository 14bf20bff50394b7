import AdminAPI
import Configuration

extension NodeSetting {
    /// The settings that a reload replaces, besides the limits.
    private static let reloadable: Set<String> = [
        "origins", "cors-headers", "log-level", "jwt-secret-file", "jwt-public-key-file",
        "jwks-file", "jwt-audience", "jwt-issuer", "jwt-leeway", "tls-cert", "tls-key",
    ]

    private static let reloadableLimits = Set(
        LimitTable.all.filter { !$0.needsRestart }.map { "limit \($0.name)" })

    /// The effective settings of a node.
    ///
    /// - Parameter reloaded: the settings of the last reload, of which only some take effect.
    static func all(of started: ServeOptions, reloaded: ServeOptions? = nil) -> [NodeSetting] {
        started.settings.map { setting in
            let isReloadable =
                self.reloadable.contains(setting.name)
                || self.reloadableLimits.contains(setting.name)
            let effective =
                isReloadable
                ? reloaded?.settings.first { $0.name == setting.name } ?? setting : setting
            return NodeSetting(
                name: effective.name, value: effective.value, source: effective.source.description)
        }
    }
}
