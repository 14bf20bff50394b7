import EventLoop
import RedisClient
import TestKit

/// A loop with a subscriber.
final class RedisSubscriberFixture: Sendable {
    let loop: EventLoop
    let recorder = RedisEventRecorder()
    let subscriber: RedisSubscriber

    init(_ url: String, _ adjust: (inout RedisSettings) -> Void = { _ in }) throws {
        var settings = try RedisSettings(RedisURL(url))
        adjust(&settings)
        self.loop = try EventLoop.start(name: "redis", tickPeriod: .milliseconds(20))
        self.subscriber = RedisSubscriber(settings, on: self.loop, seed: 7, user: self.recorder)
        try self.loop.run { [subscriber] in subscriber.start() }
    }

    deinit {
        self.loop.stop()
        self.loop.join()
    }
}
