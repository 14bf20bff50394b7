/// A page of the documentation, as far as tests look at it.
public struct MarkdownPage: Sendable {
    /// A fenced block: what stands behind the fence, and what is in it.
    public struct Block: Sendable {
        public let language: String
        /// More words behind the fence.
        public let arguments: [String]
        public let text: String
        /// Where its first line is.
        public let line: Int
    }

    public let name: String
    public private(set) var blocks: [Block] = []
    /// The lines outside of all blocks, empty ones in the place of the blocks'.
    public private(set) var prose: [String] = []

    /// - Parameter name: its path in the checkout.
    public init(_ name: String) throws {
        self.name = name
        var open: (words: [String], lines: [String], start: Int)?
        for (place, line) in try Checkout.read(name).split(
            separator: "\n", omittingEmptySubsequences: false
        ).enumerated() {
            let isFence = line.hasPrefix("```")
            self.prose.append(isFence || open != nil ? "" : String(line))
            if let block = open, isFence {
                self.blocks.append(
                    Block(
                        language: block.words.first ?? "",
                        arguments: Array(block.words.dropFirst()),
                        text: block.lines.joined(separator: "\n"),
                        line: block.start))
                open = nil
            } else if isFence {
                open = (line.dropFirst(3).split(separator: " ").map(String.init), [], place + 2)
            } else {
                open?.lines.append(String(line))
            }
        }
        guard open == nil else { throw TestFailure("\(name): a fenced block has no end") }
    }

    /// The names that links may have behind `#`, as GitHub makes them of headings.
    public var anchors: Set<String> {
        var seen: [String: Int] = [:]
        var anchors: Set<String> = []
        for line in self.prose where line.hasPrefix("#") {
            let heading = line.drop { $0 == "#" }.drop { $0 == " " }
            let kept = heading.lowercased().filter {
                $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_"
            }
            let anchor = kept.replacing(" ", with: "-")
            let count = seen[anchor, default: 0]
            seen[anchor] = count + 1
            anchors.insert(count == 0 ? anchor : "\(anchor)-\(count)")
        }
        return anchors
    }

    /// The targets of its links, each with the number of its line.
    public var links: [(target: String, line: Int)] {
        self.prose.enumerated().flatMap { place, line in
            line.matches(of: /\]\(([^)\s]+)\)/).map { (String($0.1), place + 1) }
        }
    }
}
