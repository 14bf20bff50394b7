import CHiredis
internal import Glibc
import RedisClient

/// Reads the command counts of a Redis server with `INFO`.
///
/// It blocks for the answer, because the count must belong to the moment at which CPU time is read,
/// without messages in flight. It is not the nodes' Redis client, because that sends a handshake
/// and pings of its own.
final class CommandCounter {
    private let context: UnsafeMutablePointer<redisContext>
    /// The number of `INFO` commands sent by the counter itself, which is subtracted.
    private var infoCommandCount: UInt64 = 0

    private static let timeout = timeval(tv_sec: 2, tv_usec: 0)

    /// Connects, and reads the counts once.
    init(_ url: RedisURL) throws(BenchmarkError) {
        let endpoint = url.endpoints[0]
        guard
            let context = redisConnectWithTimeout(endpoint.host, Int32(endpoint.port), Self.timeout)
        else { throw .redis(reason: "no memory") }
        self.context = context
        guard context.pointee.err == 0, redisSetTimeout(context, Self.timeout) == REDIS_OK else {
            throw .redis(reason: "\(endpoint) cannot be reached: \(Self.problem(of: context))")
        }
        if let password = url.password {
            let answer = self.sendCommand(
                ["AUTH"] + (url.user.map { [$0] } ?? []) + [password.text])
            guard case .text? = answer else {
                throw .redis(reason: "\(endpoint) rejected the password")
            }
        }
        guard self.sample() != nil else { throw .redis(reason: "\(endpoint) does not answer INFO") }
    }

    deinit { redisFree(self.context) }

    private static func problem(of context: UnsafeMutablePointer<redisContext>) -> String {
        withUnsafeBytes(of: context.pointee.errstr) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// The counts so far, without the counter's own commands; nil when Redis does not answer, or
    /// when its statistics were reset (`CONFIG RESETSTAT`).
    func sample() -> CommandSample? {
        guard case .text(let channels)? = self.requestInfo("stats"),
            case .text(let commands)? = self.requestInfo("commandstats")
        else {
            return nil
        }
        var sample = CommandSample(stats: channels, commandStats: commands)
        // The answer does not count the last command itself.
        let (calls, own) = (sample.calls["info"] ?? 0, self.infoCommandCount - 1)
        guard calls >= own else { return nil }
        sample.calls["info"] = calls - own
        return sample
    }

    private func requestInfo(_ section: String) -> InfoReply? {
        self.infoCommandCount += 1
        return self.sendCommand(["INFO", section])
    }

    private enum InfoReply {
        case text(String)
        case error
    }

    private func sendCommand(_ words: [String]) -> InfoReply? {
        let copies = words.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        var pointers = copies.map { UnsafePointer<CChar>($0) }
        let lengths = words.map(\.utf8.count)
        guard let answer = redisCommandArgv(self.context, Int32(words.count), &pointers, lengths)
        else { return nil }
        defer { freeReplyObject(answer) }
        let reply = answer.assumingMemoryBound(to: redisReply.self).pointee
        guard reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS,
            let text = reply.str
        else { return .error }
        return .text(
            String(decoding: UnsafeRawBufferPointer(start: text, count: reply.len), as: UTF8.self))
    }
}
