internal import JSON

/// The checks of a node's process, settings and database.
extension DoctorCheck {
    /// Descriptors beside those of clients: listeners, Redis, the database, the log.
    private static let ownDescriptors = 64
    private static let certificateWarningDays = 14

    static let nodeChecks: [DoctorCheck] = [
        DoctorCheck(name: "file-descriptors") { node, _ in
            guard let limit = node["process", "descriptor_limit"]?.integerValue,
                let connections = node["connection_limit"]?.integerValue
            else { return nil }
            let open = node["process", "descriptors"]?.integerValue ?? 0
            let needed = connections + Self.ownDescriptors
            if open * 10 >= limit * 9 {
                return .failed(
                    "\(open) of \(limit) file descriptors are open.",
                    "Raise the limit (LimitNOFILE= in the unit file, ulimit -n) and restart.")
            }
            guard limit >= needed else {
                return .warning(
                    """
                    The limit of \(limit) file descriptors is below the \(needed) that \
                    --limit connections=\(connections) needs.
                    """,
                    """
                    Raise the limit (LimitNOFILE= in the unit file, ulimit -n), or set --limit \
                    connections=\(max(1, limit - Self.ownDescriptors)).
                    """)
            }
            return .ok("\(open) of \(limit) file descriptors are open.")
        },
        DoctorCheck(name: "client-limits") { node, _ in
            guard let clients = node["clients"],
                let limit = node["connection_limit"]?.integerValue
            else { return nil }
            let count = clients["address_connections"]?.integerValue ?? 0
            if count > limit / 4, let address = clients["address"]?.stringValue {
                return .warning(
                    "\(count) of \(limit) possible connections have the address \(address).",
                    """
                    If it is a load balancer, name it in --trusted-proxies. Otherwise lower \
                    --limit connections-per-address.
                    """)
            }
            let limits = (clients["refusing"]?.elements ?? []).compactMap(\.stringValue)
            guard limits.isEmpty else {
                let names = limits.joined(separator: ", ")
                return .warning(
                    "The node refuses clients because of --limit \(names).",
                    "Add nodes, or raise the limit if memory and file descriptors suffice.")
            }
            return .ok("No limit refuses clients.")
        },
        DoctorCheck(name: "process-memory") { node, _ in
            guard let used = node["process", "resident"]?.integerValue,
                let limit = node["process", "memory_limit"]?.integerValue, limit > 0
            else { return nil }
            // The limit minus the memory that is available is in use, also by other processes.
            let free = min(
                node["process", "memory_available"]?.integerValue ?? limit - used, limit - used)
            let sentence = """
                The process uses \(DoctorText.bytes(used)); \(DoctorText.bytes(max(0, free))) of \
                \(DoctorText.bytes(limit)) are available.
                """
            let remedy = """
                Add memory, move clients to other nodes (`confab drain`, `confab rebalance`), or \
                lower --limit connections.
                """
            let percent = DoctorText.percent(max(0, free), of: limit)
            if percent < 5 { return .failed(sentence, remedy) }
            return percent < 15 ? .warning(sentence, remedy) : .ok(sentence)
        },
        DoctorCheck(name: "tls-certificate") { node, _ in
            guard let expiry = node["settings", "certificate_expiry"]?.integerValue,
                let now = node["now"]?.integerValue
            else { return nil }
            let fileExpiry = node["settings", "certificate_file_expiry"]?.integerValue ?? expiry
            let remedy =
                fileExpiry > expiry
                ? "The file of --tls-cert has a later certificate: send SIGHUP to the node."
                : "Renew the certificate in the file of --tls-cert, and send SIGHUP to the node."
            return Self.expiryFinding("The TLS certificate", expiry, now, remedy)
        },
        DoctorCheck(name: "token-keys") { node, _ in
            if let problem = node["settings", "key_problem"]?.stringValue {
                return .failed(
                    "The key files cannot be loaded: \(problem)",
                    "Repair the file; until then the node keeps the keys that it has loaded.")
            }
            let skipped = (node["settings", "skipped_keys"]?.elements ?? []).compactMap(
                \.stringValue)
            guard skipped.isEmpty else {
                return .warning(
                    "The node does not use every key of its key set. \(skipped[0])",
                    "Tokens that are signed with this key are refused: let its issuer replace it.")
            }
            guard let expiry = node["settings", "key_expiry"]?.integerValue,
                let now = node["now"]?.integerValue
            else {
                return node["settings"] == nil ? nil : .ok("The key files can be loaded.")
            }
            return Self.expiryFinding(
                "A certificate among the keys for tokens", expiry, now,
                """
                Give --jwt-public-key-file the issuer's next key, and send SIGHUP to the node. \
                Nodes accept the key even after its certificate has expired.
                """, worst: .warning)
        },
        DoctorCheck(name: "anonymous-access") { node, _ in
            guard let isAnonymous = node["settings", "anonymous"]?.boolValue,
                let listen = node["settings", "listen"]?.stringValue
            else { return nil }
            guard isAnonymous else { return .ok("Every client needs a token.") }
            guard node["settings", "is_listen_public"]?.boolValue == true else {
                return .ok("Anonymous clients are allowed, on loopback only.")
            }
            return .warning(
                "Every client that reaches \(listen) may chat without a token.",
                "Set --anonymous off, unless a public chat is what you want.")
        },
        DoctorCheck(name: "admin-listener") { node, _ in
            guard let settings = node["settings"] else { return nil }
            guard let admin = settings["admin"]?.stringValue else {
                return .ok("There is no admin listener.")
            }
            guard settings["is_admin_public"]?.boolValue == true else {
                return settings["has_admin_token"]?.boolValue == false
                    ? .warning(
                        "Every user of the machine may operate the cluster without a token.",
                        "Remove --admin-token off: the node then creates a token.")
                    : .ok("The admin listener is on loopback, and requires a token.")
            }
            guard settings["has_admin_token"]?.boolValue == true else {
                return .failed(
                    "Everybody who reaches \(admin) may operate the cluster without a token.",
                    "Set --admin-token-file, or bind --admin to 127.0.0.1.")
            }
            return .ok("The admin listener at \(admin) requires a token.")
        },
        DoctorCheck(name: "secrets") { node, _ in
            guard let settings = node["settings"], settings["exposed_secrets"] != nil else {
                return nil
            }
            func texts(_ list: JSONTree?) -> [String] {
                (list?.elements ?? []).compactMap(\.stringValue)
            }
            let exposed =
                texts(settings["exposed_secrets"]) + texts(node["database", "exposed_files"])
            let weak = texts(settings["weak_admin_tokens"])
            guard exposed.isEmpty else {
                return .warning(
                    "Other users of the machine can read \(exposed.joined(separator: ", ")).",
                    "Give the files the mode 0600, and replace the secrets that were exposed.")
            }
            guard weak.isEmpty else {
                return .warning(
                    """
                    The admin tokens \(weak.joined(separator: ", ")) have fewer than \
                    \(AdminTokens.secretByteMinimum) bytes and can be guessed.
                    """,
                    "Replace them in the file of --admin-token-file: openssl rand -hex 32")
            }
            return .ok("Only the node's user can read its secrets and its database.")
        },
        DoctorCheck(name: "store") { node, _ in
            guard node["survives_restart"]?.boolValue == false else { return nil }
            return .warning(
                "Messages are only in memory: a restart loses all of them.",
                "Use --store sqlite:PATH, or Redis.")
        },
        DoctorCheck(name: "disk-space") { node, _ in
            guard let free = node["database", "free_bytes"]?.integerValue,
                let total = node["database", "total_bytes"]?.integerValue,
                let path = node["database", "path"]?.stringValue
            else { return nil }
            let sentence =
                "\(DoctorText.bytes(free)) of \(DoctorText.bytes(total)) are free for \(path)."
            let remedy = "Free space or enlarge the disk: with a full disk every send is rejected."
            // Both a share and an absolute size: 5 % of a large disk are enough for long.
            let percent = DoctorText.percent(free, of: total)
            if free < 100 << 20 { return .failed(sentence, remedy) }
            return free < 1 << 30 || percent < 5 && free < 10 << 30
                ? .warning(sentence, remedy) : .ok(sentence)
        },
        DoctorCheck(name: "database-sync") { node, _ in
            guard let journal = node["database", "journal_mode"]?.stringValue else { return nil }
            if let system = node["database", "file_system"]?.stringValue {
                return .warning(
                    "The database is on \(system), which does not keep it as a local disk does.",
                    "Move the database to a local disk (--store sqlite:PATH).")
            }
            guard journal == "wal" else {
                return .failed(
                    "The database has journal_mode \(journal) instead of wal.",
                    "Another program changed the database. Restart the node, which sets the mode.")
            }
            return .ok("Every answered write is synced to a local disk.")
        },
        DoctorCheck(name: "database-integrity") { node, _ in
            guard let result = node["database", "quick_check"]?.stringValue else { return nil }
            switch result {
            case "ok": return .ok("The pages of the database are intact.")
            case "unfinished":
                return .warning(
                    "The database is too large to check it within its time limit.",
                    """
                    Check a copy: `sqlite3 confab.db ".backup copy.db"`, then \
                    `sqlite3 copy.db "PRAGMA quick_check"`.
                    """)
            default:
                return .failed(
                    "The database is damaged: \(result)",
                    """
                    Stop the node, keep the file, and restore a backup (docs/operating/sqlite.md). \
                    `confab verify --all` names the conversations concerned.
                    """)
            }
        },
    ]

    private static func expiryFinding(
        _ subject: String, _ expiry: Int, _ now: Int, _ remedy: String,
        worst: DoctorFinding.DoctorSeverity = .failed
    ) -> DoctorFinding {
        let left = expiry - now
        if left <= 0 {
            return DoctorFinding(
                severity: worst, sentence: "\(subject) expired \(DoctorText.days(left)) ago.",
                remedy: remedy)
        }
        let sentence = "\(subject) expires in \(DoctorText.days(left))."
        return left < Self.certificateWarningDays * 86_400_000
            ? .warning(sentence, remedy) : .ok(sentence)
    }
}
