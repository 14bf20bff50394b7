public import Bytes
public import ChatModel

/// What an endpoint answered.
public enum WebhookOutcome: Sendable, Equatable {
    case delivered
    /// - Parameter retryAfter: the delay that the receiver asks for, in seconds.
    case failed(String, retryAfter: Int? = nil)
    /// HTTP 410: the endpoint wants no more events.
    case gone
}

/// Delivers the events of a node's part of the outbox, as a value: it receives answers and time,
/// and returns directives.
///
/// Events of a conversation go to an endpoint one after the other. Conversations and endpoints do
/// not wait for each other, except that an endpoint has at most `sendingLimit` requests at a time.
/// Only the ids of waiting events are in memory; a body is read right before its attempt.
public struct WebhookDelivery {
    public enum WebhookDirective: Equatable, Sendable {
        case scan([Int])
        case take(endpoint: Int, partition: Int, after: OutboxPosition?, recovers: Bool)
        /// Read the event for an attempt, and answer with `begun`.
        case begin(endpoint: Int, partition: Int, OutboxPosition, ConversationKey)
        /// Answer with `responded`.
        case send(endpoint: Int, OutboxEvent)
        case complete(endpoint: Int, partition: Int, [OutboxPosition])
        case bury(endpoint: Int, partition: Int, OutboxPosition, attempts: Int, reason: String)
        case logGone(endpoint: Int)
    }

    /// The requests to one endpoint at a time.
    public static let sendingLimit = 32
    /// The partitions that one second examines: all of a cluster in 16 seconds.
    static let partitionsPerScan = 256
    public static let takeLimit = 256

    private struct Endpoint {
        var queue = EndpointQueue()
        var readers: [Int: PartitionReader] = [:]
        /// Burials that the store has not confirmed.
        var burials: [Burial] = []
        var report = WebhookReport()
    }

    private struct Burial {
        let partition: Int
        let position: OutboxPosition
        let attempts: Int
        let reason: String
        var notBefore: Int64
    }

    private var endpoints: [Endpoint]
    /// The most waiting events of an endpoint.
    private let limit: Int
    /// The partitions of this node; nil if it has all.
    private var owned: [Int]? = []
    private var ownedSet: Set<Int> = []
    private var scanned = 0
    private var nextScanAt: Int64 = 0
    private var isScanning = false
    private(set) var deadCounts: [Int: Int] = [:]

    public init(endpointCount: Int, limit: Int) {
        self.endpoints = (0..<endpointCount).map { _ in Endpoint() }
        self.limit = limit
    }

    // MARK: Partitions

    /// - Parameter partitions: the partitions of this node; nil if the node has the whole store.
    public mutating func own(_ partitions: [Int]?) {
        self.owned = partitions
        self.ownedSet = Set(partitions ?? [])
        self.scanned = 0
        for index in self.endpoints.indices {
            let forgotten = self.endpoints[index].queue.forget { partition in
                partitions != nil && !self.ownedSet.contains(partition)
            }
            for (partition, count) in forgotten {
                self.endpoints[index].readers[partition]?.eventCount -= count
            }
        }
        self.deadCounts = self.deadCounts.filter { self.owns($0.key) }
    }

    private func owns(_ partition: Int) -> Bool {
        self.owned == nil || self.ownedSet.contains(partition)
    }

    /// Events may have arrived in a partition.
    public mutating func eventsMayHaveArrived(in partition: Int) {
        guard self.owns(partition) else { return }
        for index in self.endpoints.indices {
            self.endpoints[index].readers[partition, default: PartitionReader()].want()
        }
    }

    public mutating func scanned(_ requested: [Int], _ partitions: [OutboxPartition]?) {
        self.isScanning = false
        guard let partitions else { return }
        if self.owned == nil {
            self.deadCounts = [:]
        } else {
            for partition in requested { self.deadCounts[partition] = nil }
        }
        for partition in partitions where self.owns(partition.number) {
            if partition.deadCount > 0 {
                self.deadCounts[partition.number] = partition.deadCount
            }
            if partition.hasEvents { self.eventsMayHaveArrived(in: partition.number) }
        }
    }

    /// - Parameter entries: nil if the store has failed.
    public mutating func taken(
        _ entries: [OutboxEntry]?, _ progress: OutboxProgress, endpoint: Int, group: ByteString,
        partition: Int, now: WebhookTime
    ) {
        guard self.owns(partition) else {
            self.endpoints[endpoint].readers[partition]?.taken([], .atEnd, now: now.monotonic)
            return
        }
        guard let entries else {
            self.endpoints[endpoint].readers[partition]?.retry(at: now.monotonic + 1000)
            return
        }
        var reader = self.endpoints[endpoint].readers[partition] ?? PartitionReader()
        reader.taken(entries, progress, now: now.monotonic)
        for entry in entries {
            if let target = entry.target, target != group {
                reader.complete(entry.position)
                continue
            }
            reader.eventCount += 1
            self.endpoints[endpoint].queue.append(QueuedEvent(entry, partition: partition))
        }
        self.endpoints[endpoint].readers[partition] = reader
    }

    /// Adds events that no store keeps. They wait behind the stored ones of their conversation, are
    /// sent once, and are dropped at the limit.
    public mutating func append(unstored events: [OutboxEvent]) {
        for index in self.endpoints.indices {
            for event in events {
                if self.endpoints[index].queue.count < self.limit,
                    !self.endpoints[index].report.isGone
                {
                    self.endpoints[index].queue.append(QueuedEvent(unstored: event))
                } else {
                    self.endpoints[index].report.dropped += 1
                }
            }
        }
    }

    // MARK: Attempts

    /// - Parameter event: nil if this node does not have the event any more.
    public mutating func begun(
        _ event: Result<OutboxEvent?, StoreFailure>, endpoint: Int, partition: Int,
        _ position: OutboxPosition, _ conversation: ConversationKey, now: WebhookTime,
        into directives: inout [WebhookDirective]
    ) {
        switch event {
        case .success(let event?):
            directives.append(.send(endpoint: endpoint, event))
        case .success(nil):
            self.endpoints[endpoint].queue.finish(conversation)
            self.endpoints[endpoint].readers[partition]?.eventCount -= 1
        case .failure:
            self.endpoints[endpoint].queue.pause(
                conversation, until: now.monotonic + 1000, isAttempt: false)
        }
    }

    /// - Parameter random: from 0 to 1.
    public mutating func responded(
        _ outcome: WebhookOutcome, endpoint: Int, _ conversation: ConversationKey,
        now: WebhookTime, random: Double, into directives: inout [WebhookDirective]
    ) {
        guard let (event, failures) = self.endpoints[endpoint].queue.sending(in: conversation)
        else { return }
        let attempts = failures + 1
        var retryAfter: Int?
        switch outcome {
        case .delivered:
            self.endpoints[endpoint].report.delivered()
            self.endpoints[endpoint].queue.finish(conversation)
            if let position = event.position {
                self.endpoints[endpoint].readers[event.partition]?.eventCount -= 1
                self.endpoints[endpoint].readers[event.partition]?.complete(position)
            }
            return
        case .gone:
            if !self.endpoints[endpoint].report.isGone {
                directives.append(.logGone(endpoint: endpoint))
            }
            self.endpoints[endpoint].report.isGone = true
            self.endpoints[endpoint].report.failed("HTTP 410: the endpoint is gone")
        case .failed(let reason, let delay):
            retryAfter = delay
            self.endpoints[endpoint].report.failed(reason)
        }
        guard let position = event.position else {
            self.endpoints[endpoint].report.dropped += 1
            self.endpoints[endpoint].queue.finish(conversation)
            return
        }
        let age = now.wall.milliseconds - event.queuedAt.milliseconds
        if let pause = RetrySchedule.pause(
            attempts: attempts, age: age, retryAfter: retryAfter, random: random)
        {
            self.endpoints[endpoint].queue.pause(
                conversation, until: now.monotonic + pause, isAttempt: true)
        } else {
            self.endpoints[endpoint].queue.finish(conversation)
            self.bury(
                endpoint, event.partition, position, attempts: attempts,
                reason: self.endpoints[endpoint].report.lastError ?? "")
        }
    }

    public mutating func completed(succeeded: Bool, endpoint: Int, partition: Int, now: WebhookTime)
    {
        self.endpoints[endpoint].readers[partition]?.reported(
            succeeded: succeeded, now: now.monotonic)
    }

    /// - Parameter dropped: the dead letters that the store dropped; nil if it has failed.
    public mutating func buried(
        dropped: Int?, endpoint: Int, partition: Int, _ position: OutboxPosition, now: WebhookTime
    ) {
        let place = self.endpoints[endpoint].burials.firstIndex {
            $0.partition == partition && $0.position == position
        }
        guard let place else { return }
        guard let dropped else {
            self.endpoints[endpoint].burials[place].notBefore = now.monotonic + 1000
            return
        }
        self.endpoints[endpoint].burials.remove(at: place)
        self.endpoints[endpoint].readers[partition]?.eventCount -= 1
        self.endpoints[endpoint].report.dropped += dropped
        self.deadCounts[partition, default: 0] += 1 - dropped
    }

    /// Dead letters were sent again or dropped.
    public mutating func moved(_ count: Int, from partition: Int, isRetry: Bool) {
        let rest = self.deadCounts[partition, default: 0] - count
        self.deadCounts[partition] = rest > 0 ? rest : nil
        if isRetry { self.eventsMayHaveArrived(in: partition) }
    }

    private mutating func bury(
        _ endpoint: Int, _ partition: Int, _ position: OutboxPosition, attempts: Int, reason: String
    ) {
        self.endpoints[endpoint].report.dead += 1
        self.endpoints[endpoint].burials.append(
            Burial(
                partition: partition, position: position, attempts: attempts, reason: reason,
                notBefore: 0))
    }
}

extension WebhookDelivery {
    /// What is due now. Call it after each answer, and several times a second.
    public mutating func advance(now: WebhookTime, into directives: inout [WebhookDirective]) {
        if !self.isScanning, now.monotonic >= self.nextScanAt { self.scan(now, &directives) }
        for index in self.endpoints.indices {
            self.boundQueue(index, now: now)
            self.buryDue(index, now: now, into: &directives)
            self.readLanes(index, now: now, into: &directives)
            guard !self.endpoints[index].report.isGone else { continue }
            self.endpoints[index].queue.resume(now: now.monotonic)
            while self.endpoints[index].queue.sendingCount < Self.sendingLimit,
                let next = self.endpoints[index].queue.start()
            {
                if let position = next.event.position {
                    directives.append(
                        .begin(
                            endpoint: index, partition: next.event.partition, position,
                            next.event.conversation))
                } else if let event = next.event.unstored {
                    directives.append(.send(endpoint: index, event))
                }
            }
        }
    }

    private mutating func scan(_ now: WebhookTime, _ directives: inout [WebhookDirective]) {
        self.nextScanAt = now.monotonic + 1000
        guard let owned = self.owned else {
            self.isScanning = true
            return directives.append(.scan([]))
        }
        guard !owned.isEmpty else { return }
        if self.scanned >= owned.count { self.scanned = 0 }
        let partitions = Array(owned[self.scanned...].prefix(Self.partitionsPerScan))
        self.scanned += partitions.count
        self.isScanning = true
        directives.append(.scan(partitions))
    }

    /// Gives up the oldest events beyond the limit, and those of an endpoint that is gone at the
    /// end of their lifetime.
    private mutating func boundQueue(_ index: Int, now: WebhookTime) {
        // Burials beyond this wait for the store.
        while self.endpoints[index].burials.count < 256 {
            let reason: String
            if self.endpoints[index].queue.count > self.limit {
                reason = "more than \(self.limit) events waited"
            } else if self.endpoints[index].report.isGone,
                let oldest = self.endpoints[index].queue.oldest(),
                now.wall.milliseconds - oldest.queuedAt.milliseconds >= RetrySchedule.lifetime
            {
                reason = "HTTP 410: the endpoint is gone"
            } else {
                return
            }
            guard let (event, attempts) = self.endpoints[index].queue.removeOldest(),
                let position = event.position
            else { return }
            self.bury(index, event.partition, position, attempts: attempts, reason: reason)
        }
    }

    private mutating func buryDue(
        _ index: Int, now: WebhookTime, into directives: inout [WebhookDirective]
    ) {
        for place in self.endpoints[index].burials.indices
        where self.endpoints[index].burials[place].notBefore <= now.monotonic {
            let burial = self.endpoints[index].burials[place]
            // Until the answer.
            self.endpoints[index].burials[place].notBefore = .max
            directives.append(
                .bury(
                    endpoint: index, partition: burial.partition, burial.position,
                    attempts: burial.attempts, reason: burial.reason))
        }
    }

    private mutating func readLanes(
        _ index: Int, now: WebhookTime, into directives: inout [WebhookDirective]
    ) {
        // A full queue reads no more; the store's own bound then protects the store.
        let mayTake = self.endpoints[index].queue.count <= self.limit
        for partition in Array(self.endpoints[index].readers.keys) {
            guard var reader = self.endpoints[index].readers[partition] else { continue }
            if mayTake, self.owns(partition), let take = reader.take(now: now.monotonic) {
                directives.append(
                    .take(
                        endpoint: index, partition: partition, after: take.after,
                        recovers: take.recovers))
            }
            if let positions = reader.report(now: now.monotonic) {
                directives.append(.complete(endpoint: index, partition: partition, positions))
            }
            if !self.owns(partition) { reader.abandon() }
            self.endpoints[index].readers[partition] = reader.isIdle ? nil : reader
        }
    }

    /// What operators see of each endpoint.
    public mutating func reports(now: Timestamp) -> [WebhookReport] {
        self.endpoints.indices.map { index in
            var report = self.endpoints[index].report
            report.pending = self.endpoints[index].queue.count
            report.sending = self.endpoints[index].queue.sendingCount
            report.oldestAge = self.endpoints[index].queue.oldest().map {
                max(0, now.milliseconds - $0.queuedAt.milliseconds)
            }
            return report
        }
    }

    /// The dead letters of this node's partitions, of all endpoints.
    public var deadCount: Int { self.deadCounts.values.reduce(0, +) }
}
