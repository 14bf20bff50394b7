import Foundation
import TestKit

/// A master, two replicas, and three sentinels.
final class SentinelStore: TortureStore {
    /// Sentinels wait twice their failover time-out of 3 s after a failover before the next.
    private static let patience = Duration.seconds(60)
    private let trio: SentinelTrio

    init(_ options: [String]) throws {
        self.trio = try SentinelTrio(replicas: 2, options)
    }

    var title: String { "Redis with a master, two replicas and three sentinels" }
    var place: StorePlace { .url(self.trio.url) }
    var servers: [RedisServer] { self.trio.servers }

    func master(_ choice: UInt64) throws -> RedisServer { try self.trio.master() }

    func perform(_ fault: StoreFault, _ scene: Scene) throws {
        switch fault {
        case .failover(let moment):
            let old = try self.trio.master()
            scene.await(moment)
            try self.trio.failOver()
            try self.awaitSuccessor(of: old)
            scene.turn()
            try self.awaitWhole()
        case .kill(let choice, let time, let moment):
            let old = try self.trio.master()
            scene.await(moment)
            try old.crash()
            scene.turn()
            try self.awaitSuccessor(of: old)
            scene.rest(time)
            // As its own file may say when it comes back: a replica of who is master now, or the master that it was. Then sentinels tell it.
            let port = "\(try self.trio.master().port)"
            try old.restart(["--replicaof"] + (choice % 4 == 0 ? ["no", "one"] : ["127.0.0.1", port]))
            try self.awaitWhole()
        case .freeze(let choice, let time): try self.freeze(choice, for: time, scene)
        case .refuse(let choice, _, let time): try self.refuse(choice, .full, for: time, scene)
        case .pubsubKill: try self.killSubscriptions()
        case .restart, .clusterFailover, .reshard: throw TestFailure("this is nothing that sentinels watch")
        }
    }

    private func awaitSuccessor(of old: RedisServer) throws {
        try Deadline.wait(for: "another master", within: Self.patience, untilTrue: { try self.trio.master() !== old })
    }

    func awaitWhole() throws { try self.trio.awaitWhole(within: Self.patience) }

    func writeLogs(to folder: String) throws {
        try self.writeServers(to: folder)
        for (number, sentinel) in self.trio.sentinels.enumerated() {
            try sentinel.process.output.text.write(toFile: "\(folder)/sentinel-\(number + 1).log", atomically: true, encoding: .utf8)
        }
    }
}
