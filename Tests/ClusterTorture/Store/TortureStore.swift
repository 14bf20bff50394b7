import Foundation
import TestKit

/// The Redis of a torture: its servers, and what is done to them.
protocol TortureStore: AnyObject {
    /// `a master with two replicas`, for the story.
    var title: String { get }
    var endpoint: StoreEndpoint { get }
    /// All of them, whatever they are at the moment.
    var servers: [RedisServer] { get }

    /// The master that chance picks, or the only one.
    func master(_ choice: UInt64) throws -> RedisServer

    /// Does what only this kind of store can have happen to it.
    func perform(_ fault: StoreFault, _ scene: FaultHooks) throws

    /// Waits until whatever fails next can be replaced again.
    func awaitHealthy() throws

    func writeLogs(to folder: String) throws
}

/// Where the nodes of a torture find their store.
enum StoreEndpoint {
    /// Each node through a proxy of its own.
    case server(UInt16)
    /// As it is: these servers tell of each other, and nothing can stand between.
    case url(String)
}

/// What a store asks of the torture that it is in.
struct FaultHooks {
    let wait: (Duration) -> Void
    /// Returns when it is that moment: the fault begins.
    let awaitTiming: (StoreFault.FaultTiming) -> Void
    /// The worst has happened. What conversations took before, since the fault began, says nothing about whether they go on.
    let restartGapMeasurement: () -> Void
}

extension TortureStore {
    func freeze(_ choice: UInt64, for time: Duration, _ scene: FaultHooks) throws {
        let master = try self.master(choice)
        master.freeze()
        scene.wait(time)
        master.unfreeze()
        try self.awaitHealthy()
    }

    func refuse(
        _ choice: UInt64, _ why: StoreFault.RejectionCause, for time: Duration, _ scene: FaultHooks
    ) throws {
        let master = try self.master(choice)
        let (begin, end) =
            switch why {
            case .full: (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"])
            case .readOnly: (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"])
            }
        try master.execute(begin)
        scene.wait(time)
        try master.execute(end)
        scene.restartGapMeasurement()
        try self.awaitHealthy()
    }

    func killSubscriptions() throws {
        for server in self.servers { try server.execute("CLIENT", "KILL", "TYPE", "pubsub") }
    }

    /// What each server has written, and its data.
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
