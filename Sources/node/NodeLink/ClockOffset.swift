/// How far a node's wall clock is ahead of Redis' clock, estimated from heartbeats.
///
/// Redis' time was read at some moment between sending and receiving, so each heartbeat gives an
/// offset with an uncertainty of half its round trip (as in NTP, RFC 5905 section 8). The most
/// certain of the last heartbeats counts. Two nodes compare their clocks through Redis, because
/// they exchange no times with each other.
struct ClockOffset {
    private struct HeartbeatSample {
        let microseconds: Int64
        let uncertainty: Int64
    }

    static let sampleLimit = 16
    private var samples: [HeartbeatSample] = []
    private var next = 0

    /// Records the reply to a heartbeat. All times are microseconds since 1970.
    ///
    /// - Parameters:
    ///   - redisTime: the time that Redis replied with.
    ///   - sentAt: when the heartbeat was sent, by the node's clock.
    ///   - receivedAt: when the reply arrived, by the node's clock.
    mutating func record(_ redisTime: Int64, sentAt: Int64, receivedAt: Int64) {
        // The clock was set back in between.
        guard sentAt <= receivedAt else { return }
        let roundTrip = receivedAt - sentAt
        let sample = HeartbeatSample(
            microseconds: sentAt + roundTrip / 2 - redisTime, uncertainty: roundTrip / 2 + 1)
        if self.samples.count < Self.sampleLimit {
            self.samples.append(sample)
        } else {
            self.samples[self.next] = sample
            self.next = (self.next + 1) % Self.sampleLimit
        }
    }

    /// The estimate; nil before the first heartbeat. An offset within its uncertainty counts as
    /// none, so that nodes on one machine agree exactly.
    var microseconds: Int64? {
        self.samples.min { $0.uncertainty < $1.uncertainty }.map {
            abs($0.microseconds) <= $0.uncertainty ? 0 : $0.microseconds
        }
    }
}
