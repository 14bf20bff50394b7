internal import Bytes
internal import RedisClient

/// The reply to one command, with this node's wall clock around it, in milliseconds.
struct RedisTrialReply: Sendable {
    let result: Result<RedisValue, RedisError>
    let sentAt: Int64
    let receivedAt: Int64
}

/// The facts about Redis that `confab doctor` checks, as one node sees them.
public struct RedisExamination: Sendable {
    /// A server that executes commands.
    public struct ExaminedServer: Sendable {
        public let endpoint: String
        /// Nil if the Redis user may not read it.
        public let info: RedisInfo?
        /// By name, as CONFIG GET returns them; nil if the Redis user may not read them.
        public let settings: [String: String]?
    }

    /// A command that Redis rejects.
    public struct Rejection: Sendable {
        public let command: String
        /// Redis' error.
        public let reason: String
        /// Whether nodes cannot work without the command.
        public let isRequired: Bool
    }

    public var servers: [ExaminedServer] = []
    public var rejections: [Rejection] = []
    /// This node's clock minus Redis' clock, in milliseconds; nil if Redis does not reply.
    public var clockOffset: Int64?
    /// The possible error of `clockOffset`: half the round trip, in milliseconds.
    public var clockError: Int64 = 0
}

/// A harmless command that shows whether the Redis user may execute it.
struct RedisTrial: Sendable {
    let command: String
    let isRequired: Bool
    let arguments: [ByteString]

    /// - Parameter node: the incarnation of the node, so that two trials use different keys.
    static func all(cluster: String, node: String, isRedisCluster: Bool) -> [RedisTrial] {
        let key = ByteString("\(cluster):{c}:doctor:\(node)")
        return [
            RedisTrial(
                command: "EVAL and the commands of the scripts", isRequired: true,
                arguments: ["EVAL", LinkScripts.trial.source, "1", key]),
            RedisTrial(
                command: isRedisCluster ? "SPUBLISH" : "PUBLISH", isRequired: true,
                arguments: [
                    isRedisCluster ? "SPUBLISH" : "PUBLISH",
                    ByteString("\(cluster):{c}:doctor"), "",
                ]),
            RedisTrial(command: "WAIT", isRequired: true, arguments: ["WAIT", "0", "1"]),
            RedisTrial(
                command: "MEMORY USAGE", isRequired: false, arguments: ["MEMORY", "USAGE", key]),
            RedisTrial(command: "ROLE", isRequired: false, arguments: ["ROLE"]),
            RedisTrial(
                command: "SCAN", isRequired: false, arguments: ["SCAN", "0", "COUNT", "1"]),
        ]
    }
}

extension NodeLink {
    /// Reads Redis' settings and clock, and tries the commands that a node needs. It ends within
    /// about two seconds, also if Redis does not reply.
    public func examineRedis() async -> RedisExamination {
        await self.agent.examineRedis()
    }
}

extension NodeAgent {
    private static let settings: [ByteString] = [
        "maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save",
        "client-output-buffer-limit", "min-replicas-to-write", "bind", "protected-mode",
    ]

    func examineRedis() async -> RedisExamination {
        let servers = await withCheckedContinuation { continuation in
            self.inspector.servers { continuation.resume(returning: $0) }
        }
        let slot = self.clusterSlot
        async let clock = self.attempt(["TIME"], in: slot)
        async let rejections = self.rejections(in: slot)
        var examination = RedisExamination()
        examination.servers = await withTaskGroup(of: (Int, RedisExamination.ExaminedServer).self) {
            group in
            for (index, server) in servers.enumerated() {
                group.addTask { (index, await self.examine(server.endpoint, server.slot)) }
            }
            var found: [(Int, RedisExamination.ExaminedServer)] = []
            for await server in group { found.append(server) }
            return found.sorted { $0.0 < $1.0 }.map(\.1)
        }
        examination.rejections = await rejections
        if let reply = await clock, case .success(let time) = reply.result,
            let seconds = time[0].number, let microseconds = time[1].number
        {
            let redisTime = Int64(seconds) * 1000 + Int64(microseconds) / 1000
            examination.clockOffset = (reply.sentAt + reply.receivedAt) / 2 - redisTime
            examination.clockError = (reply.receivedAt - reply.sentAt + 1) / 2
        }
        return examination
    }

    private func examine(_ endpoint: String, _ slot: RedisSlot) async
        -> RedisExamination.ExaminedServer
    {
        async let info = self.attempt(["INFO"], in: slot)
        async let settings = self.attempt(["CONFIG", "GET"] + Self.settings, in: slot)
        let text = try? await info?.result.get().text
        var values: [String: String]?
        if case .list(let parts)? = try? await settings?.result.get() {
            values = [:]
            for index in stride(from: 0, to: parts.count - 1, by: 2) {
                values?[parts[index].text ?? ""] = parts[index + 1].text ?? ""
            }
        }
        return RedisExamination.ExaminedServer(
            endpoint: endpoint, info: text.map(RedisInfo.init), settings: values)
    }

    private func rejections(in slot: RedisSlot) async -> [RedisExamination.Rejection] {
        var rejections: [RedisExamination.Rejection] = []
        for trial in self.trials {
            // Without a reply, the other trials would wait as long.
            guard let reply = await self.attempt(trial.arguments, in: slot) else { break }
            guard case .failure(let error) = reply.result, error.isFromServer else { continue }
            rejections.append(
                RedisExamination.Rejection(
                    command: trial.command, reason: error.description,
                    isRequired: trial.isRequired))
        }
        return rejections
    }

    private func attempt(_ arguments: [ByteString], in slot: RedisSlot) async -> RedisTrialReply? {
        await withCheckedContinuation { continuation in
            self.inspector.attempt(arguments, in: slot) { continuation.resume(returning: $0) }
        }
    }
}
