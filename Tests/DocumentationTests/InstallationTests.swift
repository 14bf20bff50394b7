import Foundation
import TestKit
import Testing

@Suite("The README's ways of installing")
struct InstallationTests {
    private static let heading = "## Which way of installing suits you?"

    @Test("have the commands of their pages, which other checks run, or scripts that exist")
    func commands() throws {
        let readme = try MarkdownPage("README.md")
        let first = try #require(readme.prose.firstIndex(of: Self.heading))
        let end = try #require(
            readme.prose[(first + 1)...].firstIndex { $0.hasPrefix("## ") })
        let section = first..<end
        let targets = readme.links.filter { section.contains($0.line - 1) }.compactMap {
            $0.target.split(separator: "#").first.map(String.init)
        }
        let pages = Set(targets.filter { $0.hasPrefix("docs/operating/") })
        #expect(pages.isSuperset(of: ["debian", "docker", "kubernetes"].map(Self.page)))
        var printed: Set<String> = ["apt-get update", "confab serve"]
        for page in pages {
            for block in try MarkdownPage(page).blocks where block.language == "sh" {
                printed.formUnion(Self.lines(block))
            }
        }
        let blocks = readme.blocks.filter { section.contains($0.line - 1) }
        #expect(blocks.count >= 6)
        for command in blocks.flatMap(Self.lines) {
            let program = command.prefix { $0 != " " }
            let isScript =
                program.hasPrefix("script/") && access(Checkout.file(String(program)), X_OK) == 0
            #expect(printed.contains(command) || isScript, "no page prints: \(command)")
        }
    }

    @Test("name the version of the program, and so do the comparison and the manifests")
    func version() throws {
        let source = try Checkout.read("Sources/program/confab/Program.swift")
        let version = try #require(source.firstMatch(of: /static let version = "([^"]+)"/)?.1)
        let kubernetes = "docker/kubernetes"
        for (path, pattern) in [
            ("README.md", /confab[_:-](?<number>[0-9.]+[0-9])/),
            ("docs/comparison.md", /The version is (?<number>[0-9.]+[0-9])/),
            ("\(kubernetes)/single/kustomization.yaml", /newTag: (?<number>[0-9.]+[0-9])/),
            ("\(kubernetes)/cluster/kustomization.yaml", /newTag: (?<number>[0-9.]+[0-9])/),
        ] {
            let found = try Checkout.read(path).matches(of: pattern).map(\.number)
            #expect(!found.isEmpty && found.allSatisfy { $0 == version }, "\(path): \(found)")
        }
    }

    private static func page(_ name: String) -> String { "docs/operating/\(name).md" }

    private static func lines(_ block: MarkdownPage.Block) -> [String] {
        block.text.split(separator: "\n").map(String.init)
    }
}
