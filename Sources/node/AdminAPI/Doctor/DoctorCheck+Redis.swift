internal import Bytes
internal import JSON
internal import Webhooks

/// The checks of Redis, as each node sees it. With several masters, the worst one decides.
extension DoctorCheck {
    /// The scripts declare their flags in their first line, which Redis 7 introduced.
    private static let minimumVersion = 7
    /// The largest packet between nodes.
    private static let packetBytes = 16 << 20

    static let redisChecks: [DoctorCheck] = [
        DoctorCheck(name: "redis-answers") { node, _ in
            guard node["redis"] != nil else { return nil }
            if let failure = node["redis", "failure"]?.stringValue {
                return .failed(
                    "Redis does not answer the node: \(failure)",
                    "Start or repair Redis, or the network between it and the node.")
            }
            let milliseconds = node["redis", "clock_error"]?.integerValue.map { 2 * $0 } ?? 0
            guard milliseconds < 50 else {
                return .warning(
                    "A command to Redis takes \(milliseconds) ms.",
                    "Look for slow commands (SLOWLOG GET), load and distance between the machines.")
            }
            return .ok("Redis answers.")
        },
        DoctorCheck(name: "pub-sub") { node, _ in
            guard let age = node["redis", "last_delivery"]?.integerValue else { return nil }
            let rebuilds = node["redis", "rebuilds"]?.integerValue ?? 0
            guard age < 3000 else {
                return .failed(
                    "The node has received nothing through Redis Pub/Sub for \(age / 1000) s.",
                    """
                    Check the permission for SUBSCRIBE on the cluster's channels, and `confab \
                    redis`. The node subscribes again by itself.
                    """)
            }
            return .ok(
                "The last probe through Pub/Sub is \(age) ms old; \(rebuilds) resubscriptions.")
        },
        DoctorCheck(name: "redis-commands") { node, _ in
            guard let rejected = node["redis", "rejected"]?.elements else { return nil }
            guard !rejected.isEmpty else {
                return .ok("Redis executes every command that a node needs.")
            }
            let list = rejected.map {
                "\($0["command"]?.stringValue ?? "?") (\($0["reason"]?.stringValue ?? "?"))"
            }
            let isFatal = rejected.contains { $0["required"]?.boolValue == true }
            return DoctorFinding(
                severity: isFatal ? .failed : .warning,
                sentence: "Redis rejects \(list.joined(separator: "; "))",
                remedy: """
                    Give the Redis user the permissions of docs/operating/redis.md; ACL LOG shows \
                    the rejected command.
                    """)
        },
        ofServers("redis-version") { server, _ in
            guard let version = server.info("redis_version"),
                let major = Int(version.prefix { $0 != "." })
            else { return nil }
            guard major >= Self.minimumVersion else {
                return .failed(
                    "Redis at \(server.endpoint) is version \(version).",
                    "Upgrade Redis to version \(Self.minimumVersion) or later.")
            }
            return .ok("Redis at \(server.endpoint) is version \(version).")
        },
        ofServers("redis-settings") { server, _ in
            guard server.settings == nil else { return nil }
            return .warning(
                "The node may not read the settings of Redis at \(server.endpoint).",
                "Give the Redis user CONFIG GET (+config|get), so that the settings are checked.")
        },
        ofServers("redis-password") { server, node in
            guard let hasPassword = node["redis", "has_password"]?.boolValue else { return nil }
            return Self.password(server, hasPassword: hasPassword)
        },
        ofServers("redis-eviction") { server, _ in
            guard
                let policy = server.settings?["maxmemory-policy"] ?? server.info("maxmemory_policy")
            else { return nil }
            guard policy != "noeviction" else {
                return .ok("A full Redis rejects writes and deletes nothing.")
            }
            return .failed(
                """
                maxmemory-policy of Redis at \(server.endpoint) is \(policy): a full Redis \
                deletes stored messages.
                """,
                "Set maxmemory-policy to noeviction (CONFIG SET, and in redis.conf).")
        },
        ofServers("redis-persistence") { server, _ in
            Self.persistence(server)
        },
        ofServers("redis-replicas") { server, node in
            guard let replicas = server.number("connected_slaves") else { return nil }
            let wait = node["redis", "wait_replicas"]?.integerValue
            if let wait, wait > replicas {
                return .failed(
                    """
                    Redis at \(server.endpoint) has \(replicas) replicas; ?wait=\(wait) waits for \
                    \(wait).
                    """,
                    "Start the missing replicas: until then every send fails.")
            }
            if wait == 0, replicas > 0 {
                return .warning(
                    "?wait=0: an answer does not wait for the replicas of \(server.endpoint).",
                    "Remove ?wait=0 from --store, unless a failover may lose acknowledged messages."
                )
            }
            if replicas == 0, node["redis", "mode"]?.stringValue != "standalone" {
                return .warning(
                    "Redis at \(server.endpoint) has no replica: its failure stops the sends.",
                    "Start a replica.")
            }
            return .ok("The number of replicas of \(server.endpoint) is \(replicas).")
        },
        ofServers("redis-memory") { server, _ in
            guard let used = server.number("used_memory") else { return nil }
            let maximum = server.number("maxmemory") ?? 0
            let limit = maximum > 0 ? maximum : server.number("total_system_memory") ?? 0
            guard limit > 0 else { return nil }
            let percent = DoctorText.percent(used, of: limit)
            let sentence = """
                Redis at \(server.endpoint) uses \(DoctorText.bytes(used)) of \
                \(DoctorText.bytes(limit)) (\(maximum > 0 ? "maxmemory" : "the machine's memory")).
                """
            let remedy = """
                Raise maxmemory or add memory, or lower --history; a full Redis rejects sends.
                """
            if percent >= 95 { return .failed(sentence, remedy) }
            return percent >= 80 ? .warning(sentence, remedy) : .ok(sentence)
        },
        ofServers("redis-buffers") { server, _ in
            guard let text = server.settings?["client-output-buffer-limit"] else { return nil }
            let words = text.split(separator: " ")
            guard let index = words.firstIndex(of: "pubsub"), words.indices.contains(index + 1),
                let limit = Int(words[index + 1])
            else { return nil }
            guard limit > 0, limit < Self.packetBytes else {
                return .ok("Redis buffers enough for a subscriber.")
            }
            return .warning(
                """
                client-output-buffer-limit of Redis at \(server.endpoint) allows a subscriber \
                \(DoctorText.bytes(limit)): bursts disconnect nodes.
                """,
                "Set client-output-buffer-limit to pubsub 256mb 64mb 60.")
        },
    ]

    /// A check of each server; the finding is that of the worst.
    private static func ofServers(
        _ name: String,
        _ examine: @escaping @Sendable (RedisServerFacts, NodeFacts) -> DoctorFinding?
    ) -> DoctorCheck {
        DoctorCheck(name: name) { node, _ in
            node.redisServers.compactMap { examine($0, node) }.max { $0.severity < $1.severity }
        }
    }

    /// A Redis without a password is as safe as the network that reaches it.
    private static func password(_ server: RedisServerFacts, hasPassword: Bool) -> DoctorFinding {
        guard !hasPassword else {
            return .ok("The node shows Redis at \(server.endpoint) its password.")
        }
        let remedy = """
            Set a password (ACL SETUSER, or requirepass) and give it to the nodes: --store \
            redis://user:password@…; or let only the nodes reach Redis.
            """
        let host = HostPort(server.endpoint[...])?.host ?? server.endpoint[...]
        let address = IPAddress(host)
        let sentence = "Redis at \(server.endpoint) needs no password"
        if host == "localhost" || address?.isLoopback == true {
            // Redis refuses other machines in protected mode.
            let isOpen =
                server.settings?["protected-mode"] == "no"
                && server.settings?["bind"].map { Self.reachesOthers(bind: $0) } == true
            return isOpen
                ? .warning("\(sentence), and other machines reach it.", remedy)
                : .ok("\(sentence), and only this machine reaches it.")
        }
        if let address, AddressFilter(allowing: []).allows(address) {
            return .failed(
                """
                \(sentence) at a public address: every program on the Internet may read and \
                change all messages.
                """, remedy)
        }
        return .warning(
            "\(sentence): every program that reaches it may read and change all messages.",
            remedy)
    }

    /// Whether Redis listens at more than loopback addresses. Empty means all.
    static func reachesOthers(bind: String) -> Bool {
        let addresses = bind.split(separator: " ").map { $0.drop { $0 == "-" } }
        return addresses.isEmpty
            || addresses.contains { IPAddress($0)?.isLoopback != true && $0 != "localhost" }
    }

    private static func persistence(_ server: RedisServerFacts) -> DoctorFinding? {
        if server.info("aof_last_write_status").map({ $0 != "ok" }) == true {
            return .failed(
                "Redis at \(server.endpoint) could not write its append-only file.",
                "Check the disk of Redis and its log.")
        }
        guard let appendOnly = server.settings?["appendonly"] else { return nil }
        guard appendOnly == "yes" else {
            let isSaved = server.settings?["save"]?.isEmpty == false
            return .warning(
                isSaved
                    ? """
                    appendonly of Redis at \(server.endpoint) is no: a crash loses the writes \
                    since the last snapshot.
                    """
                    : """
                    Redis at \(server.endpoint) has neither appendonly nor save: a restart loses \
                    all messages.
                    """,
                "Set appendonly to yes (CONFIG SET, and in redis.conf).")
        }
        guard server.settings?["appendfsync"] != "no" else {
            return .warning(
                "appendfsync of Redis at \(server.endpoint) is no: a power failure loses messages.",
                "Set appendfsync to everysec or always.")
        }
        return .ok("Redis at \(server.endpoint) writes an append-only file.")
    }
}
