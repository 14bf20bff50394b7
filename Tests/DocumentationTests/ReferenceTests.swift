import Configuration
import Dialects
import Foundation
import JSON
import Stores
import TestKit
import Testing

@Suite("The command-line reference")
struct ReferenceTests {
    /// With `CONFAB_WRITE_REFERENCE` in the environment, this test writes the files instead of
    /// comparing them.
    @Test("and the admin API's document match the tables of the source")
    func referenceIsCurrent() throws {
        let table = CommandTable(DialectList.all.choices, StoreList.all.choices)
        for (path, text) in [
            ("docs/reference.md", MarkdownReference.markdown(table)),
            (
                "docs/protocols/admin.openapi.json",
                AdminAPIDocument.document(version: "1").indentedText + "\n"
            ),
        ] {
            if ProcessInfo.processInfo.environment["CONFAB_WRITE_REFERENCE"] != nil {
                try text.write(toFile: Checkout.file(path), atomically: true, encoding: .utf8)
            }
            let isSame = try Checkout.read(path) == text
            #expect(
                isSame,
                "\(path) is out of date; CONFAB_WRITE_REFERENCE=1 script/test docs updates it")
        }
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
