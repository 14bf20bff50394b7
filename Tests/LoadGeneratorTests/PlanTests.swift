import ConfabClient
import Configuration
import Dialects
import EventLoop
import Testing

@testable import LoadGenerator

@Suite("A plan")
struct LoadPlanTests {
    private func plan(
        _ scenario: BenchOptions.Scenario, _ change: (inout BenchOptions) -> Void = { _ in }
    ) throws -> LoadPlan {
        var options = BenchOptions(scenario, urls: ["ws://127.0.0.1:1"])
        change(&options)
        return try LoadPlan(options, name: "test", adapters: DialectList.all.loadAdapters)
    }

    @Test("distributes the connections evenly over the conversations")
    func spreading() throws {
        let plan = try self.plan(.groups) { ($0.connections, $0.groups) = (11, 3) }
        #expect((0..<3).map { plan.members(of: $0) } == [0..<3, 3..<7, 7..<11])
        #expect(plan.groupOfMember == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
    }

    @Test("gives each server a share of every conversation, and the publishers to the first")
    func serverShares() throws {
        let urls = ["ws://127.0.0.1:1", "ws://127.0.0.1:2"]
        let plan = try self.plan(.groups) {
            ($0.urls, $0.connections, $0.groups, $0.publishers) = (urls, 11, 2, 2)
        }
        #expect(plan.urls.map(\.port) == [1, 2])
        #expect((0..<5).map { plan.serverIndex(of: $0, in: 0) } == [0, 0, 0, 1, 1])
        #expect((5..<11).map { plan.serverIndex(of: $0, in: 1) } == [0, 0, 0, 1, 1, 1])
    }

    @Test("leaves no server out if conversations have fewer members")
    func fewMembers() throws {
        let urls = (1...3).map { "ws://127.0.0.1:\($0)" }
        let senders = try self.plan(.send) { ($0.urls, $0.connections) = (urls, 7) }
        #expect((0..<7).map { senders.serverIndex(of: $0, in: $0) } == [0, 1, 2, 0, 1, 2, 0])
        let pairs = try self.plan(.groups) { ($0.urls, $0.connections, $0.groups) = (urls, 6, 3) }
        #expect((0..<6).map { pairs.serverIndex(of: $0, in: $0 / 2) } == [0, 1, 1, 2, 2, 0])
    }

    @Test("has one conversation for broadcast, and one per sender for send")
    func scenarios() throws {
        #expect(try self.plan(.broadcast).groups == 1)
        #expect(try self.plan(.send).groups == 100)
        #expect(try self.plan(.send).pacing == .closedLoop)
        #expect(try self.plan(.idle).pacing == .quiet)
        #expect(try self.plan(.idle).warmup == .zero)
        #expect(try self.plan(.connect).duration == .zero)
        #expect(try self.plan(.groups) { $0.rate = 7 }.pacing == .rate(perSecond: 7))
        #expect(
            try self.plan(.groups) { ($0.rate, $0.window) = (0, 9) }.pacing == .window(messages: 9))
    }

    @Test("rejects impossible options, and names the option")
    func refusals() {
        func words(
            _ scenario: BenchOptions.Scenario, _ change: (inout BenchOptions) -> Void
        ) -> String {
            do {
                _ = try self.plan(scenario, change)
                return "none"
            } catch {
                return "\(error)"
            }
        }
        #expect(words(.groups) { $0.groups = 101 } == "--groups: 101 is not within 1 to 100.")
        #expect(
            words(.broadcast) { $0.publishers = 101 }
                == "--publishers: 101 is more than the 100 members of a conversation.")
        #expect(
            words(.groups) { $0.publishers = 11 }
                == "--publishers: 11 is more than the 10 members of a conversation.")
        #expect(
            words(.groups) { $0.messageBytes = 20 }
                == "--message-bytes: 20 is not within 28 to 1048576.")
        #expect(
            words(.idle) { $0.connections = 0 } == "--connections: 0 is not within 1 to 1000000.")
        #expect(
            words(.broadcast) { ($0.connections, $0.publishers) = (100_000, 10_000) }.hasPrefix(
                "--publishers: so many"))
        #expect(
            words(.idle) { $0.urls = ["127.0.0.1"] }
                == "The URL cannot be used: it must begin with ws://, wss://, http:// or https://.")
    }
}

@Suite("A pacer")
struct PacerTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

    @Test(
        "keeps an even rate, however seldom it is called",
        arguments: [1, 7, 50, 1000, 1_000_000], [1, 3, 250])
    func rate(perSecond: Int, milliseconds: Int) {
        var pacer = Pacer(.rate(perSecond: perSecond), from: self.start)
        var total = 0
        for moment in stride(from: 0, through: 3000, by: milliseconds) {
            let now = self.start.advanced(by: .milliseconds(moment))
            let due = pacer.due(at: now, inFlight: 0, deliveriesPerMessage: 1)
            for _ in 0..<due { pacer.recordPublished(at: now) }
            total += due
            #expect(total == moment * perSecond / 1000 + 1)
        }
    }

    @Test("keeps its rate for a week without overflow")
    func week() {
        let pacer = Pacer(.rate(perSecond: 10_000_000), from: self.start)
        let due = pacer.due(
            at: self.start.advanced(by: .seconds(604_800)), inFlight: 0, deliveriesPerMessage: 1)
        #expect(due == 6_048_000_000_001)
    }

    @Test("records the largest delay")
    func lag() {
        var pacer = Pacer(.rate(perSecond: 100), from: self.start)
        pacer.recordPublished(at: self.start)
        #expect(pacer.longestLag == .zero)
        pacer.recordPublished(at: self.start.advanced(by: .milliseconds(35)))
        pacer.recordPublished(at: self.start.advanced(by: .milliseconds(35)))
        #expect(pacer.longestLag == .milliseconds(25))
    }

    @Test("never exceeds its window")
    func window() {
        let pacer = Pacer(.window(messages: 4), from: self.start)
        #expect(pacer.due(at: self.start, inFlight: 0, deliveriesPerMessage: 10) == 4)
        #expect(pacer.due(at: self.start, inFlight: 39, deliveriesPerMessage: 10) == 1)
        #expect(pacer.due(at: self.start, inFlight: 40, deliveriesPerMessage: 10) == 0)
        #expect(pacer.due(at: self.start, inFlight: 55, deliveriesPerMessage: 10) == 0)
    }
}

@Suite("A run's schedule")
struct LoadScheduleTests {
    private static let start = MonotonicTime(nanoseconds: 0)

    private func plan(
        _ scenario: BenchOptions.Scenario, _ change: (inout BenchOptions) -> Void = { _ in }
    ) throws -> LoadPlan {
        var options = BenchOptions(scenario, urls: ["ws://127.0.0.1:1"])
        (options.settle, options.warmup, options.duration) = (
            .seconds(3), .seconds(2), .seconds(10)
        )
        change(&options)
        return try LoadPlan(options, name: "test", adapters: DialectList.all.loadAdapters)
    }

    private func observation(_ seconds: Double, open: Int = 100) -> LoadSchedule.Observation {
        LoadSchedule.Observation(
            now: Self.start.advanced(by: .milliseconds(Int(seconds * 1000))), open: open)
    }

    /// Advances time in steps of 10 ms. Returns the phase changes with their times in seconds.
    private func phaseChanges(
        _ schedule: inout LoadSchedule, _ read: (Double) -> LoadSchedule.Observation
    ) -> [String] {
        var changes: [String] = []
        for step in 0..<20_000 {
            let seconds = Double(step) / 100
            while let change = schedule.advance(read(seconds)) {
                changes.append("\(change) \(seconds)")
                if change == .ended { return changes }
            }
        }
        return changes
    }

    @Test("measures from one quiet moment to the next")
    func publishing() throws {
        var schedule = LoadSchedule(try self.plan(.groups), start: Self.start)
        let changes = self.phaseChanges(&schedule) { self.observation($0) }
        #expect(
            changes == [
                "connectionsSettled 3.0", "measuringBegan 5.2", "publishingEnded 15.2",
                "measuringEnded 15.3",
                "ended 15.6",
            ])
    }

    @Test("waits for deliveries in flight, before and after")
    func draining() throws {
        var schedule = LoadSchedule(try self.plan(.groups), start: Self.start)
        // A message is missing until 7 s, and from 16 s to 19 s; other frames arrive all the time.
        let changes = self.phaseChanges(&schedule) { seconds in
            var reading = self.observation(seconds)
            reading.expected = 1000
            reading.received =
                seconds < 7
                ? UInt64(seconds * 100) : (16..<19).contains(seconds) ? UInt64(seconds * 10) : 1000
            return reading
        }
        #expect(
            changes == [
                "connectionsSettled 3.0", "measuringBegan 7.2", "publishingEnded 17.2",
                "measuringEnded 19.1",
                "ended 19.4",
            ])
    }

    @Test("gives up on missing deliveries")
    func loss() throws {
        var schedule = LoadSchedule(try self.plan(.send) { $0.warmup = .zero }, start: Self.start)
        let changes = self.phaseChanges(&schedule) { seconds in
            var reading = self.observation(seconds)
            reading.expected = 10
            reading.received = 9
            return reading
        }
        #expect(
            changes == [
                "connectionsSettled 3.0", "measuringBegan 3.2", "publishingEnded 13.2",
                "measuringEnded 18.3",
                "ended 18.6",
            ])
    }

    @Test("has a limit for slow deliveries")
    func trickle() throws {
        var schedule = LoadSchedule(try self.plan(.send) { $0.warmup = .zero }, start: Self.start)
        let changes = self.phaseChanges(&schedule) { seconds in
            var reading = self.observation(seconds)
            reading.expected = 1_000_000
            reading.received = UInt64(seconds * 100)
            return reading
        }
        #expect(changes[3] == "measuringEnded 73.3")
    }

    @Test(
        "waits for the presence events of joins, up to a limit",
        arguments: [(5.0, 5.5), (100.0, 15.0)])
    func settling(noiseEnds: Double, settled: Double) throws {
        var schedule = LoadSchedule(try self.plan(.groups), start: Self.start)
        let changes = self.phaseChanges(&schedule) { seconds in
            var reading = self.observation(seconds)
            reading.frames = UInt64(min(seconds, noiseEnds) * 100)
            return reading
        }
        #expect(changes[0] == "connectionsSettled \(settled)")
    }

    @Test("measures idle connections")
    func idle() throws {
        var schedule = LoadSchedule(try self.plan(.idle), start: Self.start)
        #expect(
            self.phaseChanges(&schedule) { self.observation($0) } == [
                "connectionsSettled 3.0", "idleEnded 13.0", "ended 13.0",
            ])
    }

    @Test("ends after connecting, in that scenario")
    func connecting() throws {
        var schedule = LoadSchedule(try self.plan(.connect), start: Self.start)
        #expect(
            self.phaseChanges(&schedule) { self.observation($0, open: min(100, Int($0 * 50))) } == [
                "connectionsSettled 5.0", "ended 5.0",
            ])
    }

    @Test("does not start with a missing connection")
    func refused() throws {
        var schedule = LoadSchedule(try self.plan(.groups), start: Self.start)
        let changes = self.phaseChanges(&schedule) { seconds in
            var reading = self.observation(seconds, open: 99)
            reading.refused = 1
            return reading
        }
        #expect(changes == ["ended 0.0"])
        #expect(schedule.stallReason == nil)
    }

    @Test("stops when handshakes stall, or most are rejected")
    func standstill() throws {
        var schedule = LoadSchedule(try self.plan(.groups), start: Self.start)
        #expect(
            self.phaseChanges(&schedule) { self.observation($0, open: min(40, Int($0 * 10))) } == [
                "ended 19.0"
            ])
        #expect(
            schedule.stallReason == "handshakes have stalled; 40 of 100 connections are open.")

        schedule = LoadSchedule(try self.plan(.groups), start: Self.start)
        _ = self.phaseChanges(&schedule) { seconds in
            var reading = self.observation(seconds, open: 10)
            reading.refused = min(60, Int(seconds * 10))
            return reading
        }
        #expect(schedule.stallReason == "most connections are refused.")
    }
}
