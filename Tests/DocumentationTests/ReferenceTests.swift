import Configuration
import Dialects
import Foundation
import TestKit
import Testing

@Suite("The command-line reference")
struct ReferenceTests {
    /// With `CONFAB_WRITE_REFERENCE` in the environment, this test writes the page instead of
    /// comparing it.
    @Test("matches the parser's tables")
    func referenceIsCurrent() throws {
        let text = MarkdownReference.markdown(CommandTable(DialectList.all.choices))
        if ProcessInfo.processInfo.environment["CONFAB_WRITE_REFERENCE"] != nil {
            try text.write(
                toFile: Checkout.file("docs/reference.md"), atomically: true, encoding: .utf8)
        }
        let isSame = try Checkout.read("docs/reference.md") == text
        #expect(
            isSame,
            "docs/reference.md is out of date; CONFAB_WRITE_REFERENCE=1 script/test docs updates it"
        )
    }

    @Test("contains every limit and option that other pages name")
    func namedOptionsExist() throws {
        let reference = try Checkout.read("docs/reference.md")
        let operating = try FileManager.default.contentsOfDirectory(
            atPath: Checkout.file("docs/operating")
        ).filter { $0.hasSuffix(".md") }.map { "docs/operating/\($0)" }
        for page in operating + ["docs/protocols/conversations.md", "README.md"] {
            for match in try MarkdownPage(page).prose.joined(separator: "\n").matches(
                of: /`(--[a-z-]+|[a-z]+(?:-[a-z]+)*-(?:seconds|bytes|burst|second))`/)
            {
                #expect(
                    reference.contains("`\(match.1)`") || reference.contains("`\(match.1) "),
                    "\(page) names \(match.1)")
            }
        }
    }
}
