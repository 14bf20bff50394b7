import EventLoop
import RedisClient
import Testing

@Suite("An error reply of Redis")
struct RedisErrorTests {
    static let replies: [(String, RedisError)] = [
        ("READONLY You can't write against a read only replica.", .readOnly),
        ("LOADING Redis is loading the dataset in memory", .loading),
        ("CLUSTERDOWN Hash slot not served", .clusterDown),
        ("OOM command not allowed when used memory > 'maxmemory'.", .outOfMemory),
        ("MISCONF Redis is configured to save RDB snapshots, but …", .snapshotFailed),
        (
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            .masterDown
        ),
        ("TRYAGAIN Multiple keys request during rehashing of slot", .tryAgain),
        (
            "MOVED 3999 127.0.0.1:6381",
            .moved(slot: 3999, to: RedisEndpoint(host: "127.0.0.1", port: 6381))
        ),
        ("MOVED 3999 :6381", .moved(slot: 3999, to: RedisEndpoint(host: "", port: 6381))),
        (
            "ASK 1 2001:db8::1:6381",
            .ask(slot: 1, at: RedisEndpoint(host: "2001:db8::1", port: 6381))
        ),
        ("MOVED 99999 127.0.0.1:6381", .other("MOVED 99999 127.0.0.1:6381")),
        ("ASK 1", .other("ASK 1")),
        ("NOSCRIPT No matching script. Please use EVAL.", .scriptLost),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", .wrongType),
        ("NOAUTH Authentication required.", .notAuthenticated),
        ("WRONGPASS invalid username-password pair or user is disabled.", .wrongPassword),
        (
            "NOPERM this user has no permissions to run the 'set' command",
            .notPermitted("this user has no permissions to run the 'set' command")
        ),
        (
            """
            ERR The user executing the script can't run this command or subcommand script: 74, \
            on @user_script:4.
            """,
            .notPermitted(
                """
                The user executing the script can't run this command or subcommand script: 74, \
                on @user_script:4.
                """
            )
        ),
        ("BUSY Redis is busy running a script.", .busy),
        (
            "BUSYGROUP Consumer Group name already exists",
            .other("BUSYGROUP Consumer Group name already exists")
        ),
        ("CROSSSLOT Keys in request don't hash to the same slot", .crossSlot),
        ("NOREPLICAS Not enough good replicas to write.", .noReplicas),
        ("NOGOODSLAVE No suitable replica to promote", .noGoodReplica),
        (
            "UNKILLABLE Sorry the script already executed write commands against the dataset.",
            .unkillable
        ),
        ("ERR unknown command", .other("ERR unknown command")),
        ("READONLYX", .other("READONLYX")),
        ("", .other("")),
        (
            """
            ERR Error running script (call to f_ab): @user_script:1: @user_script: 1: \
            -OOM command not allowed
            """,
            .outOfMemory
        ),
        (
            "READONLY You can't write against a read only replica. script: ab, on @user_script:1.",
            .readOnly
        ),
    ]

    @Test("has a case for each reason", arguments: replies)
    func names(_ reply: String, _ error: RedisError) {
        #expect(Array(reply.utf8).withUnsafeBytes { RedisError(reply: $0) } == error)
    }

    @Test("has a sentence for operators as its description")
    func sentences() {
        let own: [RedisError] = [
            .connectionLost(mayBeExecuted: true), .connectionLost(mayBeExecuted: false),
            .noConnection,
            .queueFull, .closed,
        ]
        let errors = Set(
            own + Self.replies.map(\.1).filter { if case .other = $0 { false } else { true } })
        #expect(Set(errors.map(\.description)).count == errors.count)
        for error in errors {
            if case .notPermitted = error { continue }
            #expect(error.description.count > 20 && ".?".contains(error.description.last ?? " "))
        }
        #expect(
            RedisOutage.silent(milliseconds: 700).description
                == "The Redis server has not answered for 700 ms.")
        #expect(
            RedisOutage.socket(.refused, server: "127.0.0.1:1").description
                == "127.0.0.1:1 refuses the connection: no Redis listens there.")
    }
}
