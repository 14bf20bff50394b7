// Trials of the chat as values: many seeds of the simulation, and what a message costs.
//
//   ChatTrials simulate [seeds] [first]   plays so many seeds and tells the story of the first that fails
//   ChatTrials tell <seed>                tells the story of one seed
//   ChatTrials cost [messages] [a turn]   processor time of a message, in 100 and in 100,000 conversations
//   ChatTrials cost-of <conversations> <messages> <a turn>
import ChatSimulation

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
    var few: [Double] = []
    var many: [Double] = []
    for _ in 0..<3 {
        few.append(MessageCost.measure(conversations: 100, messages: messages, perTurn: perTurn))
        many.append(MessageCost.measure(conversations: 100_000, messages: messages, perTurn: perTurn))
    }
    let (least, most) = (few.min()!, many.min()!)
    print("\(Int(least)) ns in 100 conversations, \(Int(most)) ns in 100,000: \(Int((most / least - 1) * 100)) % more (\(perTurn) a turn)")
case "cost-of":
    let numbers = arguments.dropFirst().compactMap { Int($0) }
    print("\(Int(MessageCost.measure(conversations: numbers[0], messages: numbers[1], perTurn: numbers[2]))) ns")
default:
    print("ChatTrials simulate [seeds] [first] | tell <seed> | cost | cost-of")
}
