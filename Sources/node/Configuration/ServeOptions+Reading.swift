internal import ChatModel

extension ServeOptions {
    /// Merges the sources and checks the settings against each other.
    init(_ sources: SettingSources, _ stores: StoreChoices) throws(UsageError) {
        do throws(ValueProblem) {
            self.init(store: try stores.parse(stores.standard))
        } catch {
            throw .badValue(name: "--store", problem: error.reason)
        }
        self.configurationFile = sources.file?.path
        var limitSources: [String: EffectiveSetting.Source] = [:]
        for binding in ServeTable.bindings(stores) {
            let values = sources.values(of: binding.spec)
            if let first = values.first {
                binding.reset(&self)
                for value in values {
                    do throws(ValueProblem) {
                        try binding.apply(&self, value.text)
                    } catch {
                        throw .badValue(
                            name: value.location(of: binding.spec), problem: error.reason)
                    }
                }
                if binding.spec.form != .limits {
                    let text = values.map(\.text).joined(separator: ",")
                    self.settings.append(
                        EffectiveSetting(name: binding.spec.name, value: text, source: first.source)
                    )
                }
            } else if binding.spec.form != .limits {
                self.settings.append(
                    EffectiveSetting(
                        name: binding.spec.name, value: binding.spec.defaultText, source: .standard)
                )
            }
            if binding.spec.form == .limits {
                for value in values {
                    limitSources[String(value.text.prefix { $0 != "=" })] = value.source
                }
            }
        }
        try self.adjustLimits(limitSources)
        self.limits.retention = self.store.kind.retention
        self.hideSecrets()
        self.resolveAnonymous()
        for limit in LimitTable.all {
            let source = limitSources[limit.name] ?? .standard
            self.settings.append(
                EffectiveSetting(
                    name: "limit \(limit.name)", value: limit.text(in: self.limits), source: source)
            )
        }
        try self.checkConflicts(stores)
        self.warnings = EnvironmentCheck.warnings(for: sources.environment)
    }

    /// Removes the password of the store, and the paths of webhooks, from the effective settings.
    private mutating func hideSecrets() {
        for index in self.settings.indices {
            switch self.settings[index].name {
            case "store": self.settings[index].value = self.store.description
            case "webhook" where !self.webhooks.isEmpty:
                self.settings[index].value = WebhookURL.names(of: self.webhooks).joined(
                    separator: ",")
            default: break
            }
        }
    }

    /// Sets the default: on only for a loopback listener and a store of this node, because a shared
    /// store or a public listener is reachable from other machines.
    private mutating func resolveAnonymous() {
        guard let index = self.settings.firstIndex(where: { $0.name == "anonymous" }),
            self.settings[index].source == .standard
        else {
            return
        }
        self.anonymous = !self.store.kind.isShared && self.listen.isLoopback
        self.settings[index].value = self.anonymous ? "on" : "off"
    }

    /// A default limit is lowered to fit an explicit one. Two explicit limits must fit each other.
    private mutating func adjustLimits(_ sources: [String: EffectiveSetting.Source])
        throws(UsageError)
    {
        func lower<Value: Comparable>(
            _ name: String, _ property: WritableKeyPath<Limits, Value>, atMost bound: Value,
            _ advice: String
        ) throws(UsageError) {
            guard self.limits[keyPath: property] > bound else { return }
            guard sources[name] == nil else {
                throw .conflict("--limit \(name) is above \(advice)")
            }
            self.limits[keyPath: property] = bound
        }
        if sources["connections-per-address"] == nil {
            let all = self.limits.connections
            self.limits.connectionsPerAddress = all < Limits.fewConnections ? all : all / 2
        }
        try lower(
            "ping-seconds", \.ping, atMost: self.limits.idle / 2,
            "half of idle-seconds: raise idle-seconds, too")
        try lower(
            "message-bytes", \.messageBytes, atMost: self.limits.frameBytes,
            "frame-bytes: raise frame-bytes, too")
        try lower(
            "content-bytes", \.contentBytes, atMost: self.limits.messageBytes,
            "message-bytes: raise message-bytes, too")
        try lower(
            "metadata-bytes", \.metadataBytes, atMost: self.limits.messageBytes,
            "message-bytes: raise message-bytes, too")
        try lower(
            "ephemeral-bytes", \.ephemeralBytes, atMost: self.limits.outboundBytes,
            "outbound-bytes: raise outbound-bytes, too")
    }

    private func checkConflicts(_ stores: StoreChoices) throws(UsageError) {
        if let admin = self.admin {
            if !admin.isLoopback, self.adminTokenFile == nil {
                throw .conflict(
                    "--admin: \(admin) is not on loopback: --admin-token-file is required")
            }
            if !self.requiresAdminToken, self.adminTokenFile != nil {
                throw .conflict("--admin-token: off does not fit --admin-token-file")
            }
            if admin == self.listen, admin.port != 0 {
                throw .conflict("--admin: \(admin) is also the address of --listen")
            }
        }
        if self.tlsCertificateFile != nil, self.tlsKeyFile == nil {
            throw .conflict("--tls-cert needs --tls-key")
        }
        if self.tlsKeyFile != nil, self.tlsCertificateFile == nil {
            throw .conflict("--tls-key needs --tls-cert")
        }
        guard self.limits.historyLimit > 0 || self.store.kind.hasUnlimitedHistory else {
            throw .conflict(
                """
                --history: 0 retains all messages, which only \(stores.unlimitedList) supports
                """)
        }
        let nodes = "nodes on \(self.store.kind.title)"
        if self.store.kind.isShared {
            if self.jwtSecretFile == nil, self.jwtPublicKeyFiles.isEmpty, self.jwksFile == nil {
                throw .conflict(
                    """
                    --store: \(nodes) must accept the same tokens: --jwt-secret-file, \
                    --jwt-public-key-file or --jwks-file is required
                    """
                )
            }
            if self.jwtSecretFile == nil, self.clusterKeyFile == nil {
                throw .conflict(
                    """
                    --store: \(nodes) sign their messages: without --jwt-secret-file, \
                    --cluster-key-file is required
                    """
                )
            }
        }
        try self.checkWebhooks()
    }
}

extension ServeOptions {
    /// More would multiply the store's work for each message.
    private static let webhookLimit = 8

    private func checkWebhooks() throws(UsageError) {
        guard self.webhooks.count <= Self.webhookLimit else {
            throw .conflict(
                "--webhook: \(self.webhooks.count) URLs; at most \(Self.webhookLimit) are possible")
        }
        guard Set(self.webhooks).count == self.webhooks.count else {
            throw .conflict("--webhook: the same URL is given twice")
        }
        let kind = self.store.kind
        guard !self.webhooks.isEmpty, self.webhookSecretFile == nil, kind.isShared else { return }
        throw .conflict(
            """
            --webhook: nodes on \(kind.title) must sign with the same secret: \
            --webhook-secret-file is required
            """)
    }
}

/// Detects mistyped environment variables.
enum EnvironmentCheck {
    /// An unknown `CONFAB_…` variable need not be a mistake: other subcommands have variables, and
    /// Kubernetes adds `CONFAB_PORT` and others for a service named confab. So only names that
    /// resemble a setting cause a warning.
    static func warnings(for environment: [String: String]) -> [String] {
        let known = ServeTable.withoutStores.compactMap(\.environment)
        // The last one is that of Kubernetes. It resembles CONFAB_HOST.
        let others = ["CONFAB_ADMIN_URL", "CONFAB_PORT"]
        return environment.keys.sorted().compactMap { variable in
            guard variable.hasPrefix("CONFAB_"), !known.contains(variable),
                !others.contains(variable), variable.utf8.count <= 64
            else {
                return nil
            }
            let nearest = known.map { ($0, Spelling.distance(variable, $0)) }.min { $0.1 < $1.1 }
            guard let (name, distance) = nearest, distance <= 2 else { return nil }
            return
                """
                environment: \(variable.escaped) is not a setting and is ignored; did you mean \
                \(name)?
                """
        }
    }
}
