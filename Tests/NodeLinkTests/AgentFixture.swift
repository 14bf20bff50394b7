import Bytes
import ChatEngine
import Cluster
import ClusterWire
import EventLoop
import Foundation
import RedisClient
import Synchronization
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import NodeLink

/// All suites with a real Redis and loops of their own.
@Suite("With a real Redis,", .programs, .ownThread)
enum AgentSuites {}

/// The surroundings of a node agent's jobs on the first loop, each observed by the test: a loop, a
/// connection to a real Redis, a receiver and a log. The jobs get no ticks.
final class AgentFixture {
    let server: RedisServer
    let loop: EventLoop
    let redis: AgentConnection
    let redisKeys = ClusterRedisKeys(cluster: "chat")
    let receiver = RecordingReceiver()
    let logger: Logger
    private let user: RedisUser
    private let folder: TemporaryFolder
    private let writer: LogWriter
    private let descriptor: Int32

    static let key = ClusterKey(secret: Array(repeating: 7, count: 32))!

    init(_ server: RedisServer, seed: UInt64 = 1, isConnected: Bool = true) throws {
        self.server = server
        let folder = try TemporaryFolder()
        self.folder = folder
        self.descriptor = open(folder.file("log"), O_CREAT | O_RDWR | O_APPEND, 0o600)
        self.writer = LogWriter(descriptor: self.descriptor)
        self.logger = Logger(level: .debug, format: .text, writer: self.writer)
        self.loop = try EventLoop.start(name: "agent", tickPeriod: .milliseconds(20))
        self.redis = AgentConnection(on: self.loop)
        self.user = RedisUser(self.redis)
        guard isConnected else { return }
        let settings = try RedisSettings(RedisURL(server.url))
        self.run { [loop, user, redis, redisKeys] in
            let client = RedisClient(
                settings, scripts: LinkScripts.all, on: loop, seed: seed, user: user)
            redis.open(
                client,
                publisher: PacketPublisher(redisKeys: redisKeys, key: Self.key, client: client))
            client.start()
        }
        try self.wait(for: "the connection") { [redis] in redis.isReady }
    }

    deinit {
        self.run { [redis] in redis.close() }
        self.loop.stop()
        self.loop.join()
        close(self.descriptor)
    }

    /// Runs `body` on the loop and waits for it.
    @discardableResult
    func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value {
        let result = LoopCallResult<Value>()
        self.loop.execute { result.set(body()) }
        return result.wait()
    }

    /// Waits until a condition is true, which is evaluated on the loop.
    func wait(for description: String, until isTrue: @escaping @Sendable () -> Bool) throws {
        try Deadline.wait(
            for: "\(description); the log: \(self.log)", untilTrue: { self.run(isTrue) })
    }

    /// The lines of the log so far.
    var log: String {
        _ = self.writer.flush(within: .seconds(5))
        return (try? self.folder.read("log")) ?? ""
    }

    /// The number of log lines that contain a text.
    func count(ofLines text: String) -> Int {
        self.log.split(separator: "\n").count { $0.contains(text) }
    }
}

/// Passes replies to the agent's connection, as `NodeAgent` does.
private final class RedisUser: RedisClientUser {
    private let redis: AgentConnection

    init(_ redis: AgentConnection) { self.redis = redis }

    func redisReplied(_ reply: RedisReply, to tag: CommandTag) {
        self.redis.complete(tag, with: .success(reply))
    }
    func redisFailed(_ error: RedisError, tag: CommandTag) {
        self.redis.complete(tag, with: .failure(error))
    }
    func redisChanged(_ state: RedisClient.State) {}
}

/// The result of a function that runs on another thread.
private final class LoopCallResult<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let isAvailable = Telemetry.Semaphore()

    func set(_ value: Value) {
        self.value.withLock { $0 = value }
        self.isAvailable.post()
    }

    func wait() -> Value {
        self.isAvailable.wait()
        guard let value = self.value.withLock({ $0 }) else {
            preconditionFailure("A result was announced but not set.")
        }
        return value
    }
}

/// The replies to calls, from any thread.
final class ReplyList<Value: Sendable>: Sendable {
    private let replies = Mutex<[Value]>([])

    var all: [Value] { self.replies.withLock { $0 } }

    func add(_ reply: Value) { self.replies.withLock { $0.append(reply) } }

    /// Waits for the first reply.
    func first() throws -> Value { try Deadline.wait(for: "a reply") { self.all.first } }
}

/// Records the calls of a link, each as a text.
final class RecordingReceiver: RelayReceiver {
    private let recorded = Mutex<[String]>([])

    var calls: [String] { self.recorded.withLock { $0 } }

    private func add(_ call: String) { self.recorded.withLock { $0.append(call) } }

    func receive(_ envelope: Envelope) { self.add("envelope \(envelope.number)") }
    func receive(_ message: RemoteLoopMessage, from node: UInt64) {
        self.add("message \(message.text) to loop \(message.loop) from \(node)")
    }
    func follow(_ view: View) {
        self.add("follow \(view.number): \(view.nodes.map(\.incarnation))")
    }
    func rejoin(as incarnation: UInt64, in view: View) {
        self.add("rejoin as \(incarnation) in \(view.number)")
    }
    func evictionChanged(isEvicted: Bool) { self.add("evicted: \(isEvicted)") }
    func messagesMayBeLost() { self.add("messages lost") }
    func storeMayHaveLostData(on loop: Int) { self.add("store \(loop) lost data") }
    func linkProblemChanged(_ reason: String?) { self.add("problem \(reason ?? "solved")") }
}

extension NodeRecord {
    static func sample(_ incarnation: UInt64, name: String) -> NodeRecord {
        NodeRecord(
            incarnation: incarnation, name: name, address: "127.0.0.1:1", host: "h",
            version: "1", loops: 1, startedAt: Timestamp(milliseconds: 0))
    }
}
