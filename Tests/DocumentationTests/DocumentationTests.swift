import Foundation
import TestKit
import Testing

@Suite("The documentation")
struct DocumentationTests {
    /// All pages of the checkout: at its root and under docs.
    static func pages() throws -> [MarkdownPage] {
        let root = try FileManager.default.contentsOfDirectory(atPath: Checkout.path).filter {
            $0.hasSuffix(".md")
        }
        let docs =
            FileManager.default.enumerator(atPath: Checkout.file("docs"))?.compactMap {
                $0 as? String
            } ?? []
        return try (root + docs.filter { $0.hasSuffix(".md") }.map { "docs/\($0)" }).sorted().map {
            try MarkdownPage($0)
        }
    }

    @Test("links only to existing files and headings")
    func linksResolve() throws {
        let pages = try Self.pages()
        #expect(pages.count > 10)
        let anchors = Dictionary(uniqueKeysWithValues: pages.map { ($0.name, $0.anchors) })
        for page in pages {
            for (target, line) in page.links where !target.contains("://") {
                let parts = target.split(
                    separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                let folder = page.name.split(separator: "/").dropLast().joined(separator: "/")
                let path = parts[0].isEmpty ? page.name : Self.resolve(String(parts[0]), in: folder)
                #expect(
                    FileManager.default.fileExists(atPath: Checkout.file(path)),
                    "\(page.name):\(line): \(target) leads nowhere")
                if parts.count == 2 {
                    #expect(
                        anchors[path]?.contains(String(parts[1])) == true,
                        "\(page.name):\(line): \(target) has no such heading")
                }
            }
        }
    }

    private static func resolve(_ target: String, in folder: String) -> String {
        var parts = folder.split(separator: "/").map(String.init)
        for part in target.split(separator: "/") {
            if part == ".." {
                parts = parts.dropLast()
            } else if part != "." {
                parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }

    @Test("names only existing files in backquotes")
    func namedFilesExist() throws {
        for page in try Self.pages() {
            for (index, line) in page.prose.enumerated() {
                for match in line.matches(
                    of: /`((?:script|docs|Sources|Tests)\/[A-Za-z0-9_.\/+-]+)`/)
                {
                    let path = String(match.1)
                    // Placeholders for names that the reader chooses.
                    if path.contains("Your") || path.contains("your-") { continue }
                    #expect(
                        FileManager.default.fileExists(atPath: Checkout.file(path)),
                        "\(page.name):\(index + 1): \(path) is not there")
                }
            }
        }
    }

    @Test("says which files to edit, and names only existing ones")
    func filesToEditExist() throws {
        let page = try Checkout.read("docs/architecture.md")
        let table = try #require(page.split(separator: "## To change X, edit these files").last)
        var rows = 0
        for row in table.split(separator: "\n") where row.hasPrefix("| ") && !row.hasPrefix("| X ")
        {
            let files = row.matches(of: /`([A-Za-z][^`]+)`/).map { String($0.1) }
            #expect(!files.isEmpty, "no file: \(row)")
            for file in files {
                #expect(
                    FileManager.default.fileExists(atPath: Checkout.file(file)),
                    "docs/architecture.md: \(file) is not there")
            }
            rows += 1
        }
        #expect(rows > 20)
    }

    @Test("names only tests that exist")
    func namedTestsExist() throws {
        let tests = FileManager.default.enumerator(atPath: Checkout.file("Tests"))
        let files = tests?.compactMap {
            ($0 as? String)?.split(separator: "/").last.map(String.init)
        }
        let names = Set((files ?? []).map { $0.replacing(".swift", with: "") })
        #expect(names.count > 100)
        for page in try Self.pages() {
            for (index, line) in page.prose.enumerated() {
                for match in line.matches(of: /`([A-Z][A-Za-z]*Tests)`/) {
                    #expect(
                        names.contains(String(match.1)),
                        "\(page.name):\(index + 1): there is no test \(match.1)")
                }
            }
        }
    }

    private static func folders(of folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: Checkout.file(folder)).filter {
            !$0.contains(".")
        }
    }

    @Test("lists exactly the modules of the package")
    func modulesAreDocumented() throws {
        let declared = Set(
            try Self.folders(of: "Sources").flatMap { try Self.folders(of: "Sources/\($0)") })
        let architecture = try MarkdownPage("docs/architecture.md").prose.joined(separator: "\n")
        for module in declared {
            let isNamed =
                architecture.contains("| `\(module)`") || architecture.contains(", `\(module)`")
            #expect(isNamed, "docs/architecture.md does not name \(module)")
        }
        for row in architecture.matches(of: /\n\| ((?:`[A-Za-z]+`(?:, )?)+) \|/) {
            for name in row.1.matches(of: /`([A-Za-z]+)`/) {
                #expect(declared.contains(String(name.1)), "there is no module \(name.1)")
            }
        }
    }
}
