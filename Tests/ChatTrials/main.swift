// Trials of the chat engine: simulations with many seeds, and the cost of a message.
//
//   ChatTrials simulate [seeds] [first]   runs simulations, and prints the log of the first failure
//   ChatTrials tell <seed>                prints the log of one seed
//   ChatTrials cost [messages] [a turn]   processor time of a message in 100 and in 100,000
//                                         conversations, round robin and random, in memory and
//                                         (a fifth of the messages) in SQLite
//   ChatTrials wire                       the cost of writing and reading a packet for another node
//   ChatTrials cost-of <conversations> <messages> <a turn> [1: round robin]
import ChatCore
import ChatSimulation
import Glibc

let arguments = CommandLine.arguments.dropFirst()
switch arguments.first {
case "simulate":
    let count = UInt64(arguments.dropFirst().first ?? "1000") ?? 1000
    let first = UInt64(arguments.dropFirst(2).first ?? "1") ?? 1
    var (messages, answers, restored, isSound) = (0, 0, RecoveryCounts(), true)
    for seed in first..<(first + count) {
        let result = Simulation.play(seed)
        messages += result.messages
        answers += result.answers
        restored += result.recoveryCounts
        if let violation = result.violation {
            for line in result.log { print(line) }
            print("seed \(seed): \(violation)")
            isSound = false
            break
        }
    }
    print("\(messages) messages, \(answers) answers")
    print(
        "lost by stores: \(restored.inPlace) changes written again, "
            + "\(restored.moved) under other numbers, \(restored.lost) lost"
    )
    if !isSound { exit(1) }
case "tell":
    let result = Simulation(seed: UInt64(arguments.dropFirst().first ?? "1") ?? 1, isLogged: true)
        .run()
    for line in result.log { print(line) }
    if result.violation != nil { exit(1) }
case "cost":
    let messages = Int(arguments.dropFirst().first ?? "1000000") ?? 1_000_000
    let perTurn = Int(arguments.dropFirst(2).first ?? "100") ?? 100
    for isFile in [false, true] {
        for order in [MessageCost.ConversationOrder.roundRobin, .random] {
            let count = isFile ? messages / 5 : messages
            let least = MessageCost.least(
                conversations: [100, 100_000], messages: count, perTurn: perTurn, order,
                isFile: isFile)
            print(
                (isFile ? "SQLite, " : "memory, ")
                    + (order == .roundRobin ? "round robin, " : "random, ")
                    + "\(perTurn) a turn: \(Int(least[0])) ns in 100 conversations, "
                    + "\(Int(least[1])) ns in 100,000, "
                    + "\((least[1] / least[0] * 100).rounded() / 100) times"
            )
        }
    }
case "wire":
    for messages in [1, 20, 200] {
        let cost = WireCost.measure(messages: messages, rounds: 40_000 / messages)
        print(
            "\(messages) messages, \(cost.bytes) bytes: \(cost.writing.nanoseconds) ns "
                + "and \(cost.writing.allocations) allocations to write, "
                + "\(cost.reading.nanoseconds) ns and \(cost.reading.allocations) to read")
    }
case "cost-of":
    let numbers = arguments.dropFirst().compactMap { Int($0) }
    var cost = MessageCost(conversations: numbers[0])
    let order: MessageCost.ConversationOrder = numbers.count > 3 ? .roundRobin : .random
    print("\(Int(cost.measure(messages: numbers[1], perTurn: numbers[2], order))) ns")
    // The final steps of the process must not appear in a profile.
    exit(0)
default:
    print("ChatTrials simulate [seeds] [first] | tell <seed> | cost | wire | cost-of")
}
