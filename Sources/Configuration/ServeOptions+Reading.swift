extension ServeOptions {
    /// Puts the sources one over the other and checks what they say together.
    init(_ sources: SettingSources) throws(UsageError) {
        self.init()
        self.configurationFile = sources.file?.path
        var limitOrigins: [String: EffectiveSetting.Source] = [:]
        for binding in ServeTable.bindings {
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
                    limitOrigins[String(value.text.prefix { $0 != "=" })] = value.source
                }
            }
        }
        try self.adjustLimits(limitOrigins)
        self.hideStorePassword()
        self.resolveAnonymous()
        for limit in LimitTable.all {
            let origin = limitOrigins[limit.name] ?? .standard
            self.settings.append(
                EffectiveSetting(
                    name: "limit \(limit.name)", value: limit.text(in: self.limits), source: origin)
            )
        }
        try self.checkConflicts()
        self.warnings = EnvironmentCheck.warnings(for: sources.environment)
    }

    /// A password in the URL is shown to nobody.
    private mutating func hideStorePassword() {
        guard let place = self.settings.firstIndex(where: { $0.name == "store" }) else { return }
        self.settings[place].value = self.store.description
    }

    /// What a cluster shares, and what others than this machine reach, is not open to strangers unless somebody said so.
    private mutating func resolveAnonymous() {
        guard let place = self.settings.firstIndex(where: { $0.name == "anonymous" }),
            self.settings[place].source == .standard
        else {
            return
        }
        let isShared = if case .redis = self.store { true } else { false }
        self.anonymous = !isShared && self.listen.isLoopback
        self.settings[place].value = self.anonymous ? "on" : "off"
    }

    /// A limit that is not given makes room for one that is; two that are given must fit.
    private mutating func adjustLimits(_ origins: [String: EffectiveSetting.Source])
        throws(UsageError)
    {
        func settle<Value: Comparable>(
            _ name: String, _ property: WritableKeyPath<Limits, Value>, atMost bound: Value,
            _ words: String
        ) throws(UsageError) {
            guard self.limits[keyPath: property] > bound else { return }
            guard origins[name] == nil else { throw .conflict("--limit \(name) is above \(words)") }
            self.limits[keyPath: property] = bound
        }
        try settle(
            "ping-seconds", \.ping, atMost: self.limits.idle / 2,
            "half of idle-seconds: raise idle-seconds, too")
        try settle(
            "message-bytes", \.messageBytes, atMost: self.limits.frameBytes,
            "frame-bytes: raise frame-bytes, too")
        try settle(
            "content-bytes", \.contentBytes, atMost: self.limits.messageBytes,
            "message-bytes: raise message-bytes, too")
        try settle(
            "metadata-bytes", \.metadataBytes, atMost: self.limits.messageBytes,
            "message-bytes: raise message-bytes, too")
        try settle(
            "ephemeral-bytes", \.ephemeralBytes, atMost: self.limits.outboundBytes,
            "outbound-bytes: raise outbound-bytes, too")
    }

    private func checkConflicts() throws(UsageError) {
        if let admin = self.admin {
            if !admin.isLoopback, self.adminTokenFile == nil {
                throw .conflict(
                    "--admin: \(admin) is not on loopback, so that --admin-token-file is required")
            }
            if admin == self.listen, admin.port != 0 {
                throw .conflict("--admin: \(admin) is where clients connect (--listen)")
            }
        }
        if self.tlsCertificateFile != nil, self.tlsKeyFile == nil {
            throw .conflict("--tls-cert needs --tls-key")
        }
        if self.tlsKeyFile != nil, self.tlsCertificateFile == nil {
            throw .conflict("--tls-key needs --tls-cert")
        }
        if case .redis = self.store {
            guard self.history > 0 else {
                throw .conflict("--history: 0 keeps all messages, which only sqlite: can")
            }
            if self.jwtSecretFile == nil, self.jwtPublicKeyFiles.isEmpty, self.jwksFile == nil {
                throw .conflict(
                    "--store: all nodes on Redis must know the same tokens, so that --jwt-secret-file, --jwt-public-key-file or --jwks-file is required"
                )
            }
            if self.jwtSecretFile == nil, self.clusterKeyFile == nil {
                throw .conflict(
                    "--store: nodes on Redis sign their mail, so that --cluster-key-file is required where there is no --jwt-secret-file"
                )
            }
        }
        if self.history == 0, self.store == .memory {
            throw .conflict("--history: 0 keeps all messages, which only sqlite: can")
        }
    }
}

/// Looks for mistyped variables.
enum EnvironmentCheck {
    /// Not every unknown `CONFAB_…` is a mistake: other subcommands have their own, and Kubernetes adds `CONFAB_PORT` and the
    /// like where a service is called so. Only what is nearly one of ours is worth a word.
    static func warnings(for environment: [String: String]) -> [String] {
        let known = ServeTable.options.compactMap(\.environment)
        let others = ["CONFAB_ADMIN_URL"]
        return environment.keys.sorted().compactMap { variable in
            guard variable.hasPrefix("CONFAB_"), !known.contains(variable),
                !others.contains(variable), variable.utf8.count <= 64
            else {
                return nil
            }
            let nearest = known.map { ($0, Spelling.distance(variable, $0)) }.min { $0.1 < $1.1 }
            guard let (name, distance) = nearest, distance <= 2 else { return nil }
            return
                "the environment's \(variable.escaped) is no setting and ignored; did you mean \(name)?"
        }
    }
}
