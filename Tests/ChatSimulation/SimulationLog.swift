/// A log of a simulation, line by line, for debugging a violation.
struct SimulationLog {
    let isEnabled: Bool
    private(set) var lines: [String] = []

    mutating func append(_ time: Int64, _ line: () -> String) {
        guard self.isEnabled else { return }
        let seconds = String(time / 1000) + "." + String(String(1000 + time % 1000).dropFirst())
        self.lines.append(
            String(repeating: " ", count: max(0, 8 - seconds.count)) + seconds + "  " + line())
    }
}
