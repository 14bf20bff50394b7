import Bytes
import RedisClient

/// A Redis server as a value of bytes and time: it gets what its connections send, and returns what
/// they receive.
///
/// A standalone server, or a master of a cluster, without replicas. It runs the program's own
/// scripts. Its data survive `disconnectAll`, as those of a server with an append-only file.
public final class SimulatedRedis {
    /// A client of the server.
    private struct RedisPeer {
        var parser = RESPCommandParser()
        var output: [UInt8] = []
        var channels: Set<RedisChannel> = []
        var repliesSkipped = 0
        var isSilent = false
    }

    /// A channel. Those of shards have names of their own.
    private struct RedisChannel: Hashable {
        let name: [UInt8]
        let isOfShard: Bool
    }

    private let data = SimulatedKeyspace()
    private let lua = LuaInterpreter()
    private var scripts: Set<String> = []
    private var clients: [Int: RedisPeer] = [:]
    /// The ids of the clients that have subscribed, in the order of subscription.
    private var subscribers: [RedisChannel: [Int]] = [:]
    private let master: SimulatedClusterMaster?

    /// Learns each command of a connection and its reply.
    public var observer: (([[UInt8]], RESPValue) -> Void)?

    /// Creates an empty server.
    ///
    /// - Parameter master: its place in a cluster; nil for a standalone server.
    public init(_ master: SimulatedClusterMaster? = nil) {
        self.master = master
    }

    // MARK: Connections

    /// Passes bytes from a connection, at Redis' time in microseconds.
    public func receive(_ bytes: UnsafeRawBufferPointer, from id: Int, at now: Int64) {
        self.data.now = now
        self.clients[id, default: RedisPeer()].parser.append(bytes)
        while let parts = self.clients[id]?.parser.next() {
            guard !parts.isEmpty else { continue }
            let reply = self.answer(CommandArguments(parts), to: id)
            if let reply { self.observer?(parts, reply) }
        }
    }

    /// Removes and returns what a connection must receive.
    public func takeOutput(of id: Int) -> [UInt8] {
        guard let output = self.clients[id]?.output, !output.isEmpty else { return [] }
        self.clients[id]?.output = []
        return output
    }

    /// Forgets a connection.
    public func disconnect(_ id: Int) {
        guard let client = self.clients.removeValue(forKey: id) else { return }
        for channel in client.channels { self.subscribers[channel]?.removeAll { $0 == id } }
    }

    /// Forgets all connections and scripts, as a restart does.
    public func disconnectAll() {
        self.clients = [:]
        self.subscribers = [:]
        self.scripts = []
    }

    /// - Returns: the reply, also if the connection suppresses it.
    private func answer(_ command: CommandArguments, to id: Int) -> RESPValue? {
        let reply: RESPValue?
        do throws(RedisFailure) {
            reply = try self.execute(command, for: id)
        } catch {
            reply = .error(error.text)
        }
        guard let reply, let client = self.clients[id] else { return reply }
        if client.repliesSkipped > 0 {
            self.clients[id]?.repliesSkipped -= 1
        } else if !client.isSilent {
            self.send(reply, to: id)
        }
        return reply
    }

    private func send(_ value: RESPValue, to id: Int) {
        guard var client = self.clients.removeValue(forKey: id) else { return }
        value.append(to: &client.output)
        self.clients[id] = client
    }

    // MARK: Commands

    /// Executes a command at Redis' time in microseconds, and returns the reply.
    public func execute(_ parts: [[UInt8]], at now: Int64) -> RESPValue {
        self.data.now = now
        do throws(RedisFailure) {
            return try self.execute(CommandArguments(parts), for: nil) ?? .null
        } catch {
            return .error(error.text)
        }
    }

    /// - Returns: nil if there is no reply.
    private func execute(_ command: CommandArguments, for id: Int?) throws(RedisFailure)
        -> RESPValue?
    {
        try self.master?.check(command)
        switch command.name {
        case "EVALSHA":
            let digest = try command.text(1).lowercased()
            guard self.scripts.contains(digest) else {
                throw RedisFailure("NOSCRIPT No matching script. Please use EVAL.")
            }
            return try self.run(digest, command)
        case "EVAL": return try self.run(try self.load(try command.argument(1)), command)
        case "SCRIPT" where command.option(1) == "LOAD":
            return .text(try self.load(try command.argument(2)))
        case "CLUSTER" where command.option(1) == "SLOTS": return self.master?.slots ?? .array([])
        case "SUBSCRIBE", "UNSUBSCRIBE", "SSUBSCRIBE", "SUNSUBSCRIBE":
            if let id { try self.subscribe(command, id) }
            return nil
        case "PING":
            let isSubscriber = id.flatMap { self.clients[$0]?.channels.isEmpty } == false
            return isSubscriber ? .array([.text("pong"), .text("")]) : .status("PONG")
        case "CLIENT" where command.option(1) == "REPLY": return self.setReplies(command, id)
        case "AUTH", "SELECT", "CLIENT": return .ok
        case "ROLE": return .array([.text("master"), .integer(0), .array([])])
        case "WAIT": return .integer(0)
        case "INFO": return .text("redis_version:7.0.15\r\nrole:master\r\nloading:0\r\n")
        case "CONFIG":
            return .array(
                ["appendonly", "yes", "appendfsync", "everysec", "maxmemory-policy", "noeviction"]
                    .map(RESPValue.text))
        default: return try self.executeInScript(command)
        }
    }

    /// The commands that scripts may also use.
    private func executeInScript(_ command: CommandArguments) throws(RedisFailure) -> RESPValue {
        if command.name == "PUBLISH" || command.name == "SPUBLISH" {
            let channel = RedisChannel(
                name: try command.argument(1), isOfShard: command.name == "SPUBLISH")
            return .integer(Int64(self.publish(try command.argument(2), to: channel)))
        }
        guard let reply = try self.data.execute(command) else {
            throw command.unknown
        }
        return reply
    }

    private func setReplies(_ command: CommandArguments, _ id: Int?) -> RESPValue? {
        guard let id else { return .ok }
        switch command.option(2) {
        case "OFF": self.clients[id]?.isSilent = true
        case "SKIP": self.clients[id]?.repliesSkipped = 1
        default:
            self.clients[id]?.isSilent = false
            return .ok
        }
        return nil
    }

    // MARK: Scripts

    private func load(_ source: [UInt8]) throws(RedisFailure) -> String {
        let text = String(decoding: source, as: UTF8.self)
        let digest = RedisScript(text).digest.string
        if !self.scripts.contains(digest) {
            try self.lua.add(source, digest: digest)
            self.scripts.insert(digest)
        }
        return digest
    }

    private func run(_ digest: String, _ command: CommandArguments) throws(RedisFailure)
        -> RESPValue
    {
        let count = Int(try command.integer(2))
        guard count >= 0, count <= command.count - 3 else {
            throw RedisFailure("ERR Number of keys can't be greater than number of args")
        }
        let values = command.count > 3 ? try command.rest(from: 3) : []
        return self.lua.run(
            digest, keys: values.prefix(count), arguments: values.dropFirst(count)
        ) { command in
            do throws(RedisFailure) {
                return try self.executeInScript(command)
            } catch {
                return .error(error.text)
            }
        }
    }

    // MARK: Channels

    private func publish(_ message: [UInt8], to channel: RedisChannel) -> Int {
        let subscribers = self.subscribers[channel] ?? []
        let kind = channel.isOfShard ? "smessage" : "message"
        for id in subscribers {
            self.send(.array([.text(kind), .bulk(channel.name), .bulk(message)]), to: id)
        }
        return subscribers.count
    }

    private func subscribe(_ command: CommandArguments, _ id: Int) throws(RedisFailure) {
        let isOfShard = ["SSUBSCRIBE", "SUNSUBSCRIBE"].contains(command.name)
        let isSubscribing = command.name == "SUBSCRIBE" || command.name == "SSUBSCRIBE"
        let known = (self.clients[id]?.channels ?? []).filter { $0.isOfShard == isOfShard }
            .map(\.name).sorted { $0.lexicographicallyPrecedes($1) }
        let names = command.count > 1 ? Array(try command.rest(from: 1)) : known
        for name in names {
            let channel = RedisChannel(name: name, isOfShard: isOfShard)
            if isSubscribing {
                if self.clients[id]?.channels.insert(channel).inserted == true {
                    self.subscribers[channel, default: []].append(id)
                }
            } else if self.clients[id]?.channels.remove(channel) != nil {
                self.subscribers[channel]?.removeAll { $0 == id }
            }
            let count = self.clients[id]?.channels.count { $0.isOfShard == isOfShard } ?? 0
            self.send(
                .array([
                    .text(command.name.lowercased()), .bulk(name), .integer(Int64(count)),
                ]), to: id)
        }
    }
}
