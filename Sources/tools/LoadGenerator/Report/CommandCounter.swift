import Bytes
import ConfabClient
import EventLoop
import RedisClient
import TLS

/// Reads the command counts of a Redis server with `INFO`.
///
/// It blocks for the answer, because the count must belong to the moment at which CPU time is read,
/// without messages in flight. It connects before the first count and sends no pings, so that the
/// difference of two counts contains only its own `INFO` commands, which it subtracts.
final class CommandCounter {
    private let client: BlockingRedisClient
    /// The number of `INFO` commands sent by the counter itself, which is subtracted.
    private var infoCommandCount: UInt64 = 0

    private static let timeout = Duration.seconds(2)

    /// Connects, and reads the counts once.
    init(_ url: RedisURL) throws(BenchmarkError) {
        let endpoint = url.endpoints[0]
        self.client = try Self.client(url)
        do throws(BlockingRedisClient.CallFailure) {
            try self.client.connect()
        } catch {
            throw .redis(reason: "\(endpoint) \(Self.problem(error))")
        }
        guard self.sample() != nil else { throw .redis(reason: "\(endpoint) does not answer INFO") }
    }

    private static func client(_ url: RedisURL) throws(BenchmarkError) -> BlockingRedisClient {
        var settings: RedisSettings
        do throws(TLSError) {
            settings = try RedisSettings(url)
        } catch {
            throw .client(.tls(error))
        }
        settings.connectTimeout = Self.timeout
        settings.commandTimeout = Self.timeout
        // A ping would be counted. A run lasts days at most.
        settings.pingAfter = .seconds(365 * 86_400)
        do throws(SocketError) {
            return try BlockingRedisClient(settings, name: "redis")
        } catch {
            throw .socket(error)
        }
    }

    /// The problem, as the rest of a sentence that begins with the server's address. It has no
    /// period.
    private static func problem(_ failure: BlockingRedisClient.CallFailure) -> String {
        switch failure {
        case .unanswered(_, .socket(.refused, _)?): "cannot be reached: Connection refused"
        case .unanswered(_, .refused(.wrongPassword)?): "rejected the password"
        case .unanswered(_, .refused(.notAuthenticated)?): "does not answer INFO"
        case .unanswered, .rejected:
            "cannot be reached: \(Self.withoutPeriod(failure.description))"
        }
    }

    private static func withoutPeriod(_ sentence: String) -> Substring {
        sentence.hasSuffix(".") ? sentence.dropLast() : sentence[...]
    }

    /// The counts so far, without the counter's own commands. Nil when Redis does not answer, when
    /// its statistics were reset (`CONFIG RESETSTAT`), or after a new connection, whose handshake
    /// was counted.
    func sample() -> CommandSample? {
        self.infoCommandCount += 2
        let replies = try? self.client.send([
            RedisQuery(.any, "INFO", "stats"), RedisQuery(.any, "INFO", "commandstats"),
        ])
        guard let stats = replies?[0].text, let commandStats = replies?[1].text,
            self.client.connectionCount == 1
        else { return nil }
        var sample = CommandSample(stats: stats, commandStats: commandStats)
        // The answer does not count the last command itself.
        let (calls, own) = (sample.calls["info"] ?? 0, self.infoCommandCount - 1)
        guard calls >= own else { return nil }
        sample.calls["info"] = calls - own
        return sample
    }
}
