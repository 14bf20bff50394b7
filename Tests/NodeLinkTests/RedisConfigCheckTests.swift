import Testing

@testable import NodeLink

@Suite("A check of Redis' settings")
struct RedisConfigCheckTests {
    private static let goodSettings = [
        "maxmemory": "0", "maxmemory-policy": "noeviction", "appendonly": "yes", "save": "",
        "client-output-buffer-limit":
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 67108864 33554432 60",
    ]

    @Test("has no warnings if all settings are good, or unknown")
    func good() {
        #expect(RedisConfigCheck(Self.goodSettings).warnings.isEmpty)
        #expect(RedisConfigCheck([:]).warnings.isEmpty)
    }

    @Test(
        "warns about each setting that can lose messages",
        arguments: [
            ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru"),
            ("appendonly", "no", "neither appendonly nor save is set"),
            (
                "client-output-buffer-limit", "normal 0 0 0 slave 0 0 0 pubsub 1048576 8388608 60",
                "allows pubsub 1048576 bytes"
            ),
        ])
    func bad(name: String, value: String, warning: String) {
        var settings = Self.goodSettings
        settings[name] = value
        let warnings = RedisConfigCheck(settings).warnings
        #expect(warnings.count == 1)
        #expect(warnings[0].contains(warning))
    }

    @Test(
        "says where an acknowledged write is",
        arguments: [
            (["appendonly": "yes", "appendfsync": "always"], "on the disk of Redis"),
            (
                ["appendonly": "yes", "appendfsync": "everysec"],
                "in the memory of Redis, on its disk within a second"
            ),
            (
                ["appendonly": "yes", "appendfsync": "no"],
                "in the memory of Redis, on its disk when its system writes it"
            ),
            (["appendonly": "no", "save": ""], "in the memory of Redis"),
            (
                ["appendonly": "no", "save": "60 1"],
                "in the memory of Redis, on its disk with the next snapshot"
            ), ([:], nil),
        ])
    func durability(settings: [String: String], text: String?) {
        #expect(RedisConfigCheck(settings).durability == text)
    }

    @Test("says how much is lost with snapshots only")
    func snapshots() {
        var settings = Self.goodSettings
        settings["appendonly"] = "no"
        settings["save"] = "3600 1"
        #expect(
            RedisConfigCheck(settings).warnings == [
                "appendonly is no: writes since the last snapshot are lost when Redis stops; "
                    + "set it to yes"
            ])
    }
}
