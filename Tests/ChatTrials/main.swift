// Trials of the chat as values: many seeds of the simulation, and what a message costs.
//
//   ChatTrials simulate [seeds] [first]   plays so many seeds and tells the story of the first that fails
//   ChatTrials tell <seed>                tells the story of one seed
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
default:
    print("ChatTrials simulate [seeds] [first] | tell <seed>")
}
