import Foundation
import TestKit

/// A master, two replicas, and three sentinels.
final class SentinelStore: TortureStore {
    /// After a failover, sentinels wait twice their timeout of 3 s before the next.
    private static let timeout = Duration.seconds(60)
    private let sentinelServers: RedisSentinelServers

    init(_ options: [String]) throws {
        self.sentinelServers = try RedisSentinelServers(
            replicas: 2, failureTimeout: .seconds(1), options)
    }

    var title: String { "Redis with a master, two replicas and three sentinels" }
    var endpoint: StoreEndpoint {
        let ports = self.servers.map(\.port) + self.sentinelServers.sentinels.map(\.port)
        return StoreEndpoint(url: self.sentinelServers.url, ports: ports)
    }
    var servers: [RedisServer] { self.sentinelServers.servers }

    func master(_ choice: UInt64) throws -> RedisServer { try self.sentinelServers.master() }

    func perform(_ fault: StoreFault, _ hooks: FaultHooks) throws {
        switch fault {
        case .failover(let timing):
            hooks.awaitTiming(timing)
            try self.sentinelServers.failOver()
            hooks.restartGapMeasurement()
            try self.awaitHealthy()
        case .kill(let choice, let time, let timing):
            let old = try self.sentinelServers.master()
            hooks.awaitTiming(timing)
            try old.crash()
            hooks.restartGapMeasurement()
            try self.awaitSuccessor(of: old)
            hooks.wait(time)
            // The old master restarts with its own configuration: as a replica of the new master,
            // or still as a master. In the second case the sentinels reconfigure it.
            let port = "\(try self.sentinelServers.master().port)"
            try old.restart(
                ["--replicaof"] + (choice % 4 == 0 ? ["no", "one"] : ["127.0.0.1", port]))
            try self.awaitHealthy()
        case .freeze(let choice, let time): try self.freeze(choice, for: time, hooks)
        case .refuse(let choice, _, let time): try self.refuse(choice, .full, for: time, hooks)
        case .pubsubKill: try self.killSubscriptions()
        case .restart, .clusterFailover, .reshard:
            throw TestFailure("sentinels do not support this fault")
        }
    }

    private func awaitSuccessor(of old: RedisServer) throws {
        try Deadline.wait(
            for: "another master", within: Self.timeout,
            untilTrue: { try self.sentinelServers.master() !== old })
    }

    func awaitHealthy() throws { try self.sentinelServers.awaitHealthy(within: Self.timeout) }

    func writeLogs(to folder: String) throws {
        try self.writeServerLogs(to: folder)
        for (number, sentinel) in self.sentinelServers.sentinels.enumerated() {
            try sentinel.process.output.text.write(
                toFile: "\(folder)/sentinel-\(number + 1).log", atomically: true, encoding: .utf8)
        }
    }
}
