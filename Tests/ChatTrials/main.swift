// Trials of the chat as values: many seeds of the simulation, and what a message costs.
//
//   ChatTrials simulate [seeds] [first]   plays so many seeds and tells the story of the first that fails
//   ChatTrials tell <seed>                tells the story of one seed
//   ChatTrials cost [messages] [a turn]   processor time of a message, in 100 and in 100,000 conversations, one after the
//                                         other and drawn by chance
//   ChatTrials cost-of <conversations> <messages> <a turn> [1: in turn]
import ChatSimulation
import Glibc

let arguments = CommandLine.arguments.dropFirst()
switch arguments.first {
case "simulate":
    let count = UInt64(arguments.dropFirst().first ?? "1000") ?? 1000
    let first = UInt64(arguments.dropFirst(2).first ?? "1") ?? 1
    var (messages, answers) = (0, 0)
    for seed in first..<(first + count) {
        let outcome = Simulation.play(seed)
        messages += outcome.messages
        answers += outcome.answers
        if let violation = outcome.violation {
            for line in outcome.story { print(line) }
            print("seed \(seed): \(violation)")
            break
        }
    }
    print("\(messages) messages, \(answers) answers")
case "tell":
    let outcome = Simulation(seed: UInt64(arguments.dropFirst().first ?? "1") ?? 1, isTold: true).run()
    for line in outcome.story { print(line) }
case "cost":
    let messages = Int(arguments.dropFirst().first ?? "2000000") ?? 2_000_000
    let perTurn = Int(arguments.dropFirst(2).first ?? "100") ?? 100
    for order in [MessageCost.Order.inTurn, .byChance] {
        var few: [Double] = []
        var many: [Double] = []
        for _ in 0..<3 {
            var cost = MessageCost(conversations: 100)
            few.append(cost.measure(messages: messages, perTurn: perTurn, order))
            cost = MessageCost(conversations: 100_000)
            many.append(cost.measure(messages: messages, perTurn: perTurn, order))
        }
        let (least, most) = (few.min()!, many.min()!)
        print(
            "\(order == .inTurn ? "in turn" : "by chance"), \(perTurn) a turn: \(Int(least)) ns in 100 conversations, "
                + "\(Int(most)) ns in 100,000: \(Int(((most / least - 1) * 100).rounded())) % more")
    }
case "cost-of":
    let numbers = arguments.dropFirst().compactMap { Int($0) }
    var cost = MessageCost(conversations: numbers[0])
    print("\(Int(cost.measure(messages: numbers[1], perTurn: numbers[2], numbers.count > 3 ? .inTurn : .byChance))) ns")
    // A profile of the run is not to show how it is taken down.
    exit(0)
default:
    print("ChatTrials simulate [seeds] [first] | tell <seed> | cost | cost-of")
}
