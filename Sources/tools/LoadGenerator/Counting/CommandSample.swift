/// The commands that a Redis server has executed so far.
struct CommandSample: Sendable, Equatable {
    /// By command name, such as `evalsha` or `script|load`.
    var calls: [String: UInt64] = [:]
    /// Channels with at least one subscriber.
    var channelCount: UInt64 = 0

    /// Commands that clients send and the nodes' scripts never call. All others are counted as
    /// called by scripts, which is true for nearly all of them. Redis itself does not distinguish
    /// the two.
    static let clientCommands: Set<String> = [
        "auth", "client", "config", "eval", "evalsha", "fcall", "hello", "info", "ping",
        "psubscribe", "publish", "pubsub", "role",
        "script",
        "select", "spublish", "ssubscribe", "subscribe", "sunsubscribe", "unsubscribe", "wait",
        "waitaof",
    ]

    init() {}

    /// Parses the sections `stats` and `commandstats` of `INFO`.
    init(stats: String, commandStats: String) {
        for (name, value) in Self.fields(stats)
        where ["pubsub_channels", "pubsubshard_channels"].contains(name) {
            self.channelCount += UInt64(value) ?? 0
        }
        for (name, value) in Self.fields(commandStats) where name.hasPrefix("cmdstat_") {
            // calls=4,usec=12,usec_per_call=3.00,…
            guard value.hasPrefix("calls="),
                let calls = UInt64(value.dropFirst(6).prefix { $0 != "," })
            else { continue }
            self.calls[String(name.dropFirst(8))] = calls
        }
    }

    private static func fields(_ text: String) -> [(name: Substring, value: Substring)] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            guard let colon = line.firstIndex(of: ":"), !line.hasPrefix("#") else { return nil }
            return (line[..<colon], line[line.index(after: colon)...])
        }
    }

    /// The commands since `earlier`, with the current number of channels. Nil if a count has
    /// decreased, because Redis has reset its statistics.
    func since(_ earlier: CommandSample) -> CommandSample? {
        var difference = self
        for (name, before) in earlier.calls {
            let calls = self.calls[name] ?? 0
            guard calls >= before else { return nil }
            difference.calls[name] = calls > before ? calls - before : nil
        }
        return difference
    }

    var calledByClients: UInt64 { self.sum { Self.isClientCommand($0) } }
    var calledByScripts: UInt64 { self.sum { !Self.isClientCommand($0) } }

    /// The most frequent commands first.
    var sorted: [(name: String, calls: UInt64)] {
        self.calls.map { (name: $0.key, calls: $0.value) }.sorted {
            ($1.calls, $0.name) < ($0.calls, $1.name)
        }
    }

    private func sum(_ counts: (String) -> Bool) -> UInt64 {
        self.calls.reduce(0) { counts($1.key) ? $0 + $1.value : $0 }
    }

    private static func isClientCommand(_ name: String) -> Bool {
        self.clientCommands.contains(String(name.prefix { $0 != "|" }))
    }
}
