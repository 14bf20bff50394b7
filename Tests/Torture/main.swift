// Injects faults into a cluster of real processes and checks what its clients received:
// script/torture.
import ClusterTorture
import Foundation
import TestKit

struct Arguments {
    var seed = UInt64.random(in: 1...999_999)
    var minutes = 1.0
    var store = StoreMode.redis
    /// Nil for all faults that the store supports.
    private var requestedFaults: [FaultKind]?
    private var requestedNodes: Int?
    var binary: String?
    var otherBinary: String?
    var measuredFault: FaultKind?
    /// Measures hostile clients, without faults unless some are named.
    var isHostile = false
    /// The kits whose drivers are the clients; empty for the harness's own.
    var kits: [KitCommand] = []
    /// The folder for the logs of a run without violations.
    var logs: String?

    init(_ arguments: [String]) throws {
        var arguments = arguments[...]
        while let option = arguments.popFirst() {
            if option == "--hostile" {
                self.isHostile = true
                continue
            }
            guard let value = arguments.popFirst() else {
                throw TestFailure("\(option) needs a value")
            }
            switch option {
            case "--seed": self.seed = try Self.read(UInt64(value), option, value)
            case "--minutes": self.minutes = try Self.read(Double(value), option, value)
            case "--store": self.store = try Self.read(StoreMode(rawValue: value), option, value)
            case "--nodes":
                self.requestedNodes = try Self.read(
                    Int(value).flatMap { (2...9).contains($0) ? $0 : nil }, option, value)
            case "--binary": self.binary = value
            case "--other-binary": self.otherBinary = value
            case "--logs": self.logs = value
            case "--kits":
                self.kits = try value.split(separator: ",").map { try .named(String($0)) }
                if self.kits.isEmpty { throw TestFailure("--kits: no kit is named") }
            case "--faults":
                self.requestedFaults = try value.split(separator: ",").map {
                    try Self.read(FaultKind(rawValue: String($0)), option, String($0))
                }
            case "--measure":
                self.measuredFault = value == "takeover" ? .kill : value == "frozen" ? .freeze : nil
                if self.measuredFault == nil {
                    throw TestFailure("--measure accepts takeover or frozen, not \(value)")
                }
            default: throw TestFailure("there is no option \(option)")
            }
        }
        if !self.store.isShared, self.requestedNodes != nil {
            throw TestFailure("--nodes is impossible with --store \(self.store.rawValue): one node")
        }
        if self.faults.isEmpty, !self.isHostile { throw TestFailure("--faults: no fault is named") }
        for fault in self.faults {
            if let refusal = fault.refusal(for: self.store) { throw TestFailure(refusal) }
            if fault.needsKits, self.kits.isEmpty {
                throw TestFailure("--faults \(fault.rawValue) needs --kits")
            }
        }
        if let logs = self.logs,
            (try? FileManager.default.contentsOfDirectory(atPath: logs))?.isEmpty == false
        {
            throw TestFailure("--logs: \(logs) is not empty")
        }
    }

    private var nodes: Int { self.store.isShared ? self.requestedNodes ?? 3 : 1 }

    var faults: [FaultKind] {
        if self.isHostile { return self.requestedFaults ?? [] }
        return self.requestedFaults ?? (self.kits.isEmpty ? self.store.faults : FaultKind.kitFaults)
    }

    private static func read<Value>(_ value: Value?, _ option: String, _ text: String) throws
        -> Value
    {
        guard let value else { throw TestFailure("\(option) does not accept \(text)") }
        return value
    }

    var settings: TortureSettings {
        var settings = TortureSettings(seed: self.seed)
        settings.nodes = self.nodes
        settings.store = self.store
        if let binary = self.binary { settings.binary = binary }
        settings.otherBinary = self.otherBinary
        settings.kits = self.kits
        settings.hasHostileClients = self.isHostile
        if !self.kits.isEmpty { settings.conversations = 3 }
        settings.hasBackgroundCluster =
            self.measuredFault == nil && self.faults.contains(.twoClusters)
        return settings
    }

    var replayCommand: String {
        let binary =
            (self.binary.map { " --binary \($0)" } ?? "")
            + (self.otherBinary.map { " --other-binary \($0)" } ?? "")
            + (self.kits.isEmpty ? "" : " --kits \(self.kits.map(\.name).joined(separator: ","))")
        let faults = self.faults.map(\.rawValue).joined(separator: ",")
        return "script/torture --store \(self.store.rawValue) --seed \(self.seed)"
            + " --minutes \(self.minutes)" + (faults.isEmpty ? "" : " --faults \(faults)")
            + (self.store.isShared ? " --nodes \(self.nodes)" : "")
            + (self.isHostile ? " --hostile" : "") + binary
    }
}

func printLine(_ line: String) {
    FileHandle.standardOutput.write(Data("\(line)\n".utf8))
}

func milliseconds(_ time: Duration) -> String {
    String(format: "%.2f ms", time / .milliseconds(1))
}

func seconds(_ time: Duration) -> String { String(format: "%.2f s", time / .seconds(1)) }

/// Injects the same fault ten times, into one node after the other, and measures how long
/// conversations stood still.
func measureTakeover(_ kind: FaultKind, _ arguments: Arguments) throws -> Bool {
    var settings = arguments.settings
    settings.isMeasuring = true
    settings.conversations = 12
    settings.members = settings.nodes
    settings.messageInterval = .milliseconds(100)
    let torture = try Torture(settings, printLine: printLine)
    try torture.start()
    var gaps: [Duration] = []
    for round in 0..<10 {
        let node = "n\(round % settings.nodes + 1)"
        let fault =
            kind == .kill
            ? ClusterFault.kill(node, restartAfter: .seconds(3))
            : ClusterFault.freeze(node, for: .seconds(7))
        if let gap = try torture.inject(fault) { gaps.append(gap) }
        // Until all clients are back at their home nodes, and the node has its shards.
        Thread.sleep(forTimeInterval: 6)
    }
    let result = try torture.finish()
    report(result)
    gaps.sort()
    guard gaps.count == 10 else { return false }
    let median = (gaps[4] + gaps[5]) / 2
    let limit = Duration.seconds(kind == .kill ? 2 : 5)
    let title = kind == .kill ? "takeover after kill -9" : "takeover from a frozen owner"
    printLine(
        "\(title): median \(seconds(median)),"
            + " from \(seconds(gaps[0])) to \(seconds(gaps[9])); the limit is \(seconds(limit))")
    return median < limit && result.violationCount == 0
}

func report(_ result: Torture.TortureResult) {
    let counts = result.counts
    printLine("")
    printLine(
        "\(result.messages) messages; sends: \(counts.answered) answered, "
            + "\(counts.refused) refused, \(counts.unknown) unknown;"
            + " \(counts.amended) edits and deletions; \(counts.features) reactions, pins and "
            + "searches; \(counts.entries) entries; \(counts.reconnects) reconnects")
    for (kind, gap) in result.gaps.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
        printLine(
            "worst gap after \(kind.rawValue): \(seconds(gap.worst)), of \(gap.count); "
                + "longest silence \(seconds(gap.longestSilence))"
        )
    }
    for (act, count) in counts.hostileActs.sorted(by: { $0.key < $1.key }) {
        let refused = counts.refusedActs[act, default: 0]
        printLine("hostile: \(count) × \(act.rawValue); \(refused) ended by the node")
    }
    for (reason, count) in counts.failureReasons.sorted(by: { $0.key < $1.key }) {
        printLine("  \(count) × \(reason)")
    }
    for violation in result.violations.prefix(20) { printLine("VIOLATION \(violation)") }
    if result.violationCount > 20 { printLine("… \(result.violationCount) violations in all") }
}

func torture(_ arguments: Arguments) throws -> Bool {
    printLine("seed \(arguments.seed)")
    let torture = try Torture(arguments.settings, printLine: printLine)
    var failure: String?
    do {
        try torture.start()
        let time = Duration.seconds(arguments.minutes * 60)
        if arguments.isHostile {
            let effect = try torture.measureHostileClients(arguments.faults, for: time / 2)
            printLine(
                "median answer without hostile clients: \(milliseconds(effect.before)), "
                    + "beside them: \(milliseconds(effect.during)); the limit is twice the first")
            if !effect.isWithinLimit { failure = "the answers are more than twice as slow" }
        } else {
            try torture.injectFaults(arguments.faults, for: time)
        }
    } catch {
        failure = "\(error)"
    }
    let result = try torture.finish()
    report(result)
    if let failure { printLine("VIOLATION \(failure)") }
    let isSuccessful = failure == nil && result.violationCount == 0
    if !isSuccessful || arguments.logs != nil {
        printLine("logs: \(try torture.writeLogs(to: arguments.logs))")
    }
    printLine("replay: \(arguments.replayCommand)")
    printLine(
        isSuccessful ? "verdict: every guarantee was kept" : "verdict: GUARANTEES WERE BROKEN")
    return isSuccessful
}

do {
    let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
    let isSuccessful =
        try arguments.measuredFault.map { try measureTakeover($0, arguments) } ?? torture(arguments)
    exit(isSuccessful ? 0 : 1)
} catch {
    FileHandle.standardError.write(Data("torture: \(error)\n".utf8))
    exit(2)
}
