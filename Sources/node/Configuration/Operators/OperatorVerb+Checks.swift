internal import JSON

/// The verbs that check a node or a cluster, for scripts and for support.
extension OperatorVerb {
    private static let findingColumns: [OperatorColumn] = [
        .init("CHECK", "check"), .init("NODE", "node"), .init("RESULT", "result", .state),
        .init("FINDING", "finding"), .init("REMEDY", "remedy", importance: 1),
    ]

    static let checkVerbs: [OperatorVerb] = [
        OperatorVerb(
            "doctor", "check every node, and say how to fix each failure",
            display: .table(key: "checks", findingColumns), isRepeatable: false,
            successKey: "passed",
            examples: [
                .init("confab doctor", "exit status 0: no check failed"),
                .init("confab doctor --output json", "for a program"),
            ],
            notes: [
                """
                Checks the settings, permissions, memory and clock of Redis, and of every node its \
                health, name, version, file descriptors, memory, certificates, keys, listeners, \
                disk and database. RESULT is ok, warning or failed. The remedies follow below the \
                table; docs/operating/runbook.md explains each check.
                """
            ]),
        OperatorVerb(
            "support", "write an archive for support",
            [.argument("file", "FILE", kind: .file, "the archive, such as support.tar.gz")],
            role: .read, display: .custom, isRepeatable: false, writesFile: true,
            examples: [.init("confab support support.tar.gz", "everything about the cluster")],
            notes: [
                """
                The archive has the documents of status, nodes, shards, events, redis and doctor, \
                and of every node its configuration, metrics and recent log lines. It contains no \
                keys, passwords or tokens, and no messages; log lines name users and \
                conversations. Its mode is 0600.
                """
            ]),
        OperatorVerb(
            "health", "ask a node whether it is healthy",
            [
                .argument(
                    "url", "URL", kind: .text(limit: 2048),
                    "the node's client listener (default: http://127.0.0.1:8080)",
                    isOptional: true),
                .option(
                    "live", "", .flag, "ask whether the process works, not whether it is ready"),
                .option("ca", "FILE", .file, "with https: CA certificates (PEM)"),
            ],
            path: nil, display: .custom, isRepeatable: false, usesAdminAPI: false,
            examples: [
                .init("confab health", "exit status 0: healthy"),
                .init(
                    "confab health --live https://chat.example --ca ca.pem",
                    "for a liveness probe"),
            ],
            notes: [
                """
                Requests /api/health, with --live /api/live, and prints one line. The exit status \
                is 0 if the node is healthy, 1 if it is not, and 3 if it does not answer within \
                two seconds. It needs no token.
                """
            ]),
        OperatorVerb(
            "await", "wait for a state of the cluster",
            [
                .argument(
                    "condition", "CONDITION", kind: .choice(["healthy", "drained", "nodes"]),
                    "the state to wait for"),
                .argument(
                    "value", "VALUE", "with drained the node, with nodes their number",
                    isOptional: true),
                .option(
                    "timeout", "TIME", .duration(0...86_400), default: 60,
                    "time limit, such as 90s or 5m"),
            ],
            path: nil, display: .custom, isRepeatable: false,
            examples: [
                .init("confab await healthy", "all nodes are healthy"),
                .init("confab await drained n1 --timeout 5m", "n1 has no shards and no clients"),
                .init("confab await nodes 3", "at least three nodes are active"),
            ],
            notes: [
                """
                `healthy` means that every node answers and is healthy, and that no shard moves. \
                Drained nodes and dead nodes do not count. The command also waits while no node \
                answers. After the time limit the exit status is 1, and the last line says what \
                is missing.
                """
            ]),
    ]
}
