import TestKit

/// A single server without a replica.
final class StandaloneStore: TortureStore {
    private let server: RedisServer

    init(_ options: [String]) throws {
        self.server = try RedisServer(options)
    }

    var title: String { "Redis" }
    var endpoint: StoreEndpoint { .server(self.server.port) }
    var servers: [RedisServer] { [self.server] }

    func master(_ choice: UInt64) -> RedisServer { self.server }

    func perform(_ fault: StoreFault, _ scene: FaultHooks) throws {
        switch fault {
        case .kill(_, let time, let moment):
            scene.awaitTiming(moment)
            try self.server.crash()
            scene.restartGapMeasurement()
            scene.wait(time)
            try self.server.restart()
        case .restart(let time):
            try self.server.stop()
            scene.wait(time)
            try self.server.restart()
        case .freeze(let choice, let time): try self.freeze(choice, for: time, scene)
        case .refuse(let choice, let why, let time): try self.refuse(choice, why, for: time, scene)
        case .pubsubKill: try self.killSubscriptions()
        case .failover, .clusterFailover, .reshard:
            throw TestFailure("there is nobody beside this server")
        }
    }

    func awaitHealthy() {}
}
