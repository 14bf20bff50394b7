/// A page of the documentation: its fenced blocks, prose, anchors and links.
public struct MarkdownPage: Sendable {
    /// A fenced block.
    public struct Block: Sendable {
        public let language: String
        /// The words after the language on the opening fence.
        public let arguments: [String]
        public let text: String
        /// The line number of its first line.
        public let line: Int
    }

    public let name: String
    public private(set) var blocks: [Block] = []
    /// The lines outside of blocks. Lines of blocks are replaced by empty ones, so that line
    /// numbers stay correct.
    public private(set) var prose: [String] = []

    /// - Parameter name: the path in the checkout.
    public init(_ name: String) throws {
        self.name = name
        var open: (words: [String], lines: [String], start: Int)?
        for (index, line) in try Checkout.read(name).split(
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
                open = (line.dropFirst(3).split(separator: " ").map(String.init), [], index + 2)
            } else {
                open?.lines.append(String(line))
            }
        }
        guard open == nil else { throw TestFailure("\(name): a fenced block has no end") }
    }

    /// The anchors that links can name after `#`, as GitHub derives them from headings.
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

    /// The targets of the links, with their line numbers.
    public var links: [(target: String, line: Int)] {
        self.prose.enumerated().flatMap { index, line in
            line.matches(of: /\]\(([^)\s]+)\)/).map { (String($0.1), index + 1) }
        }
    }
}
