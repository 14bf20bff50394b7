import RedisClient

/// Checks the settings of a Redis server that stores conversations. Each warning says what to
/// change and what may happen otherwise.
///
/// It is a value that receives the settings by name, as CONFIG GET returns them.
struct RedisConfigCheck {
    /// The settings to read.
    static let settings: [StaticString] = [
        "maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save",
        "client-output-buffer-limit",
    ]

    private var values: [String: String] = [:]

    /// - Parameter reply: the reply to CONFIG GET: alternating names and values.
    init(_ reply: RedisReply) {
        var parts = reply.elements
        while let name = parts.next(), let value = parts.next() {
            self.values[name.string] = value.string
        }
    }

    init(_ values: [String: String]) {
        self.values = values
    }

    /// The maximum size of a packet from another node. Redis disconnects a subscriber whose unread
    /// data exceeds its limit.
    static let packetBytes = 16 << 20

    /// Empty if all settings are good.
    var warnings: [String] {
        var warnings: [String] = []
        if let policy = self.values["maxmemory-policy"], policy != "noeviction" {
            warnings.append(
                "maxmemory-policy is \(policy): a full Redis deletes stored messages; "
                    + "set it to noeviction, which rejects writes instead"
            )
        }
        if self.values["appendonly"] == "no" {
            if self.values["save"]?.isEmpty == true {
                warnings.append(
                    "neither appendonly nor save is set: all data is lost when Redis stops; "
                        + "set appendonly to yes"
                )
            } else {
                warnings.append(
                    "appendonly is no: writes since the last snapshot are lost when Redis stops; "
                        + "set it to yes"
                )
            }
        }
        if let limit = self.pubSubLimit, limit > 0, limit < Self.packetBytes {
            warnings.append(
                "client-output-buffer-limit allows pubsub \(limit) bytes: bursts disconnect nodes; "
                    + "set it to 64mb 32mb 60 or more"
            )
        }
        return warnings
    }

    /// Where acknowledged writes are, apart from replicas; nil if Redis did not say.
    var durability: String? {
        switch (self.values["appendonly"], self.values["appendfsync"]) {
        case ("yes", "always"): "on the disk of Redis"
        case ("yes", "everysec"): "in the memory of Redis, on its disk within a second"
        case ("yes", "no"): "in the memory of Redis, on its disk when its system writes it"
        case ("no", _):
            self.values["save"]?.isEmpty == true
                ? "in the memory of Redis"
                : "in the memory of Redis, on its disk with the next snapshot"
        default: nil
        }
    }

    /// `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`: class, hard limit,
    /// soft limit, seconds.
    ///
    /// This is the hard limit. A subscriber that exceeds Redis' soft limit (8 MB for a minute) has
    /// not read for a minute and is faulty anyway.
    private var pubSubLimit: Int? {
        guard let parts = self.values["client-output-buffer-limit"]?.split(separator: " "),
            let index = parts.firstIndex(of: "pubsub"),
            index + 1 < parts.count
        else { return nil }
        return Int(parts[index + 1])
    }
}
