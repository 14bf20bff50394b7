import Bytes
import Foundation
import RedisClient
import TestKit
import TestTraits
import Testing

@testable import NodeLink
@testable import RedisStore

@Suite("The scripts for Redis", .ownThread)
struct ScriptTextTests {
    private static let scripts =
        StoreScripts.loaded + LinkScripts.all + [
            StoreScripts.search, StoreScripts.messages, StoreScripts.restore,
            StoreScripts.restoreNumbers, LinkScripts.changeLock, LinkScripts.trial,
        ]

    @Test("begin with their flags, and then name their keys and arguments")
    func beginning() {
        #expect(
            StoreScripts.unread.source.string.hasPrefix(
                """
                #!lua flags=no-writes
                local key=KEYS[1]
                local history=ARGV[1]
                local after=ARGV[2]
                local user=ARGV[3]
                history = tonumber(history)

                """))
        #expect(
            LinkScripts.trial.source.string.hasPrefix(
                "local key=KEYS[1]\nredis.call('SET', key, "))
    }

    @Test("have numbers for the names of the arguments in a list")
    func lists() {
        let lines = StoreScripts.removeStale.source.string.split(separator: "\n")
        #expect(
            lines.dropFirst(2).prefix(2) == [
                "for entry = 1, #ARGV, 2 do", "local name = ARGV[entry + 0]",
            ])
        #expect(StoreScripts.write.source.string.contains("({n = 10, a = 6, j = 11,"))
    }

    @Test("include a shared file once, and no comment")
    func includes() {
        let page = StoreScripts.page.source.string
        #expect(page.components(separatedBy: "local function collect(").count == 2)
        #expect(Self.scripts.allSatisfy { !$0.source.string.contains("--") })
    }

    @Test("pass luacheck, which knows all names", .programs)
    func luacheck() throws {
        let folder = try TemporaryFolder()
        var files: [String] = []
        for script in Self.scripts {
            let text = script.source.string
            // The flags are not Lua.
            let file = try folder.write(
                (text.hasPrefix("#") ? "--" : "") + text, to: "\(files.count).lua")
            files.append(file)
        }
        let options = [
            "--no-config", "--no-color", "--codes", "--quiet", "--no-max-line-length",
            "--std", "lua51", "--read-globals", "redis", "KEYS", "ARGV",
        ]
        let process = try ChildProcess("luacheck", files + options)
        let status = try process.waitForExit(within: .seconds(60))
        #expect(
            status != .exited(127),
            "luacheck is missing: script/bootstrap tests installs Debian's package lua-check")
        let report = (process.output.lines + process.errors.lines).joined(separator: "\n")
        #expect(status == .exited(0), "\(report)")
    }
}
