import Foundation
import TestKit

/// The Redis servers of a torture run, and the faults injected into them.
protocol TortureStore: AnyObject {
    /// The title for the log, such as `Redis with a master, two replicas and three sentinels`.
    var title: String { get }
    var endpoint: StoreEndpoint { get }
    /// All servers, in any role.
    var servers: [RedisServer] { get }

    /// The master selected by a random number, or the only one.
    func master(_ choice: UInt64) throws -> RedisServer

    /// Injects a fault in the way of this kind of store.
    func perform(_ fault: StoreFault, _ hooks: FaultHooks) throws

    /// Waits until the store can survive the next failure.
    func awaitHealthy() throws

    func writeLogs(to folder: String) throws
}

/// The address of the store for the nodes.
struct StoreEndpoint {
    let url: String
    /// All servers to which the URL or a server's reply can lead.
    let ports: [UInt16]
}

/// The functions of the torture run that a store needs.
struct FaultHooks {
    let wait: (Duration) -> Void
    /// Returns when the fault has to start.
    let awaitTiming: (StoreFault.FaultTiming) -> Void
    /// Called after the worst moment of the fault. Messages before it do not show that the
    /// conversations have recovered.
    let restartGapMeasurement: () -> Void
}

extension TortureStore {
    func freeze(_ choice: UInt64, for time: Duration, _ hooks: FaultHooks) throws {
        let master = try self.master(choice)
        try master.freeze()
        hooks.wait(time)
        master.unfreeze()
        try self.awaitHealthy()
    }

    func refuse(
        _ choice: UInt64, _ cause: StoreFault.RejectionCause, for time: Duration,
        _ hooks: FaultHooks
    ) throws {
        let master = try self.master(choice)
        let (begin, end) =
            switch cause {
            case .full: (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"])
            case .readOnly: (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"])
            }
        try master.execute(begin)
        hooks.wait(time)
        try master.execute(end)
        hooks.restartGapMeasurement()
        try self.awaitHealthy()
    }

    func killSubscriptions() throws {
        for server in self.servers { try server.execute("CLIENT", "KILL", "TYPE", "pubsub") }
    }

    /// Writes the log and copies the data of each server.
    func writeServerLogs(to folder: String) throws {
        for (number, server) in self.servers.enumerated() {
            try server.process.output.text.write(
                toFile: "\(folder)/redis-\(number + 1).log", atomically: true, encoding: .utf8)
            try FileManager.default.copyItem(
                atPath: server.folder.path, toPath: "\(folder)/redis-\(number + 1)")
        }
    }

    func writeLogs(to folder: String) throws { try self.writeServerLogs(to: folder) }
}
