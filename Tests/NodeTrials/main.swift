// Plays simulated clusters of real nodes, with clients and faults, and judges them.
//
//   NodeTrials play [seconds] [first seed] [time limit]   plays seeds until this many simulated
//                                                         seconds are played, a promise is broken,
//                                                         or the limit in seconds of real time
//   NodeTrials seeds <count> [first seed]                 the same for this many seeds
//   NodeTrials tell <seed>                                one seed, with faults and the nodes' log
//
// Each fourth seed has a Redis Cluster of three masters, the others a standalone Redis.
// Prints a line per seed: its simulated seconds, messages, connections and the hash of all bytes.
import Glibc
import SimulatedNodes
import Telemetry

// The order of a dictionary's elements depends on random numbers of the process, unless this
// variable is set when it starts.
if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
    setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    execv("/proc/self/exe", CommandLine.unsafeArgv)
}

let arguments = Array(CommandLine.arguments.dropFirst())

func number(_ index: Int, _ standard: Int) -> Int {
    index < arguments.count ? Int(arguments[index]) ?? standard : standard
}

/// - Returns: the simulated seconds; nil if a promise was broken.
func play(_ seed: Int, _ writer: LogWriter? = nil) throws -> Int? {
    var settings = NodeSimulation.SimulationSettings()
    if seed % 4 == 0 { settings.redisMasters = 3 }
    let outcome = try NodeSimulation(seed: UInt64(seed), settings, writer: writer).play()
    print(
        "seed \(seed): \(outcome.simulatedSeconds) s, \(outcome.messages) messages, "
            + "\(outcome.connections) connections, hash \(String(outcome.digest, radix: 16))")
    fflush(nil)
    if writer != nil || outcome.violation != nil {
        for line in outcome.history { print(line) }
    }
    guard let violation = outcome.violation else { return outcome.simulatedSeconds }
    print("seed \(seed): \(violation)")
    return nil
}

let start = ContinuousClock.now
var (played, seeds) = (0, 0)

switch arguments.first {
case "play", "seeds":
    let isCounted = arguments[0] == "seeds"
    let (goal, first, limit) = (number(1, 1000), number(2, 1), number(3, .max))
    while (isCounted ? seeds : played) < goal,
        ContinuousClock.now - start < .seconds(min(limit, 1_000_000_000))
    {
        guard let seconds = try play(first + seeds) else { exit(1) }
        played += seconds
        seeds += 1
    }
    print("\(seeds) seeds, \(played) simulated seconds, no broken promise")
case "tell":
    let writer = LogWriter(descriptor: STDERR_FILENO)
    let isSound = try play(number(1, 1), writer) != nil
    _ = writer.flush(within: .seconds(5))
    exit(isSound ? 0 : 1)
default:
    print("NodeTrials play [seconds] [first seed] [time limit] | seeds <count> [first seed]")
    print("NodeTrials tell <seed>")
    exit(2)
}
