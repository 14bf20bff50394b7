import ChatModel
import Testing

@testable import Configuration

@Suite("The pages of the manual")
struct ManualPagesTests {
    static let pages = ManualPages(.program, version: "1.2.3", date: "2026-03-01")

    static func page(_ name: String) throws -> String {
        try #require(self.pages.page(name), "\(name)")
    }

    /// A page as a reader sees it, apart from the layout.
    static func plain(_ source: String) -> String {
        var text = source
        for (escape, character) in [
            ("\\fB", ""), ("\\fI", ""), ("\\fR", ""), ("\\-", "-"), ("\\(aq", "'"),
            ("\\(dq", "\""), ("\\(ga", "`"), ("\\(ha", "^"), ("\\(ti", "~"), ("\\&", ""),
            ("\\e", "\\"),
        ] { text.replace(escape, with: character) }
        return text
    }

    @Test("exist for the program, every subcommand and the configuration file")
    func names() throws {
        let names = ManualPages.names(.program)
        #expect(names.count == CommandTable.program.all.count + 2)
        #expect(Set(names).count == names.count)
        for name in names {
            let section = name.hasSuffix(".5") ? "5" : "1"
            let title = name.dropLast(2).uppercased().replacing("-", with: "\\-")
            #expect(
                try Self.page(name).hasPrefix(
                    ".TH \"\(title)\" \"\(section)\" \"2026-03-01\" \"Confab 1.2.3\" "))
        }
        #expect(Self.pages.page("confab-nothing.1") == nil)
    }

    @Test("of subcommands name every option and every limit that the help names")
    func options() throws {
        for command in CommandTable.program.all {
            let text = Self.plain(
                try Self.page(
                    "confab-\(command.name.replacing(" ", with: "-")).1"))
            for option in command.options where !option.isSetting || command.name == "serve" {
                #expect(text.contains("--\(option.name)"), "\(command.name) \(option.name)")
            }
            for example in command.examples { #expect(text.contains("\n\(example.command)\n")) }
        }
        let serve = Self.plain(try Self.page("confab-serve.1"))
        for limit in LimitTable.all { #expect(serve.contains("\n\(limit.name)=")) }
    }

    @Test("of the configuration file name every setting, with an example that is valid")
    func configurationFile() throws {
        let text = Self.plain(try Self.page("confab.json.5"))
        for key in ServeTable.withoutStores.compactMap(\.fileKey) {
            #expect(text.contains("\n\(key): "), "\(key)")
        }
        let lines = text.split(separator: "\n")
        let start = try #require(lines.firstIndex(of: "{"))
        let end = try #require(lines[start...].firstIndex(of: "}"))
        let example = lines[start...end].joined(separator: "\n")
        let options = try serve("--config confab.json", files: ["confab.json": example])
        #expect(options.limits.connections == 50_000)
    }

    @Test("have no line that begins a request by accident")
    func requests() throws {
        let known = ["TH", "SH", "SS", "PP", "TP", "RS", "RE", "EX", "EE", "nh", "ad"]
        for name in ManualPages.names(.program) {
            for line in try Self.page(name).split(separator: "\n") {
                #expect(!line.hasPrefix("'"), "\(line)")
                guard line.hasPrefix(".") else { continue }
                #expect(known.contains(String(line.dropFirst().prefix(2))), "\(line)")
            }
        }
    }

    @Test("are printed by --man, which checks its arguments")
    func invocation() throws {
        #expect(try invoke("--man") == .manual(page: nil, date: ""))
        #expect(
            try invoke("--man confab-serve.1 2026-03-01")
                == .manual(page: "confab-serve.1", date: "2026-03-01"))
        #expect(
            errorText("--man confab-x.1")
                == "confab: --man: \"confab-x.1\" is not a page; confab --man lists them")
        #expect(
            errorText("--man confab.1 today")
                == "confab: --man: \"today\" is not a date (YYYY-MM-DD)")
        #expect(errorText("--man confab.1 2026-03-01 x")?.contains("x") == true)
    }
}
