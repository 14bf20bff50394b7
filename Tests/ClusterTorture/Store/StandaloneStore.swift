import TestKit

/// A single server without a replica.
final class StandaloneStore: TortureStore {
    private let server: RedisServer

    init(_ options: [String]) throws {
        self.server = try RedisServer(options)
    }

    var title: String { "Redis" }
    var endpoint: StoreEndpoint {
        StoreEndpoint(url: "redis://127.0.0.1:\(self.server.port)", ports: [self.server.port])
    }
    var servers: [RedisServer] { [self.server] }

    func master(_ choice: UInt64) -> RedisServer { self.server }

    func perform(_ fault: StoreFault, _ hooks: FaultHooks) throws {
        switch fault {
        case .kill(_, let time, let timing):
            hooks.awaitTiming(timing)
            try self.server.crash()
            hooks.restartGapMeasurement()
            hooks.wait(time)
            try self.server.restart()
        case .restart(let time):
            try self.server.stop()
            hooks.wait(time)
            try self.server.restart()
        case .freeze(let choice, let time): try self.freeze(choice, for: time, hooks)
        case .refuse(let choice, let cause, let time):
            try self.refuse(choice, cause, for: time, hooks)
        case .pubsubKill: try self.killSubscriptions()
        case .failover, .clusterFailover, .reshard:
            throw TestFailure("a single server does not support this fault")
        }
    }

    func awaitHealthy() {}
}
