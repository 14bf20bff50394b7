import Foundation
import TestKit
import TestTraits
import Testing

@testable import Configuration

@Suite("Help, reference and completion", .ownThread)
struct HelpTests {
    static let texts = [HelpText.overview(.program)] + CommandTable.program.all.map(HelpText.text)

    @Test("fit a terminal of 80 columns, without trailing spaces", arguments: texts)
    func width(text: String) {
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            // Examples are command lines, which are not wrapped.
            #expect(line.count <= (line.hasPrefix("  confab ") ? 100 : 80), "\(line)")
            #expect(!line.hasSuffix(" "), "\(line)")
            #expect(line.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "\(line)")
        }
        #expect(text.hasSuffix("\n"))
    }

    @Test("of serve name every option with its default, and every limit")
    func serve() throws {
        let command = try #require(CommandTable.program.command(named: "serve"))
        let text = HelpText.text(of: command)
        let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        for option in command.options {
            #expect(text.contains("--\(option.name)"))
            if let standard = option.defaultText {
                #expect(words.contains("[default: \(standard)]"))
            }
        }
        // A long limit has a line of its own.
        for limit in LimitTable.all {
            let start = "  \(limit.name)=\(limit.defaultText)"
            #expect(text.contains(start + " ") || text.contains(start + "\n"))
        }
        #expect(
            text.hasPrefix(
                """
                confab serve: run a node

                Usage: confab serve [OPTIONS]

                Listeners
                  --listen HOST:PORT          the listener for clients; port 0: a free port
                                              [default: 127.0.0.1:8080]

                """))
    }

    @Test("have a working example for every subcommand")
    func examples() throws {
        for command in CommandTable.program.all where command.name != "help" {
            #expect(!command.examples.isEmpty)
            for example in command.examples {
                let line = String(example.command.prefix { $0 != ">" }).replacing("'", with: "")
                #expect(line.hasPrefix("confab \(command.name)"))
                #expect(
                    errorText(String(line.dropFirst(7)), files: ["confab.json": "{}"]) == nil,
                    "\(line)")
            }
        }
    }

    @Test("have Markdown tables with consistent rows")
    func markdown() {
        let text = MarkdownReference.markdown(.program)
        var cells = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("|") else {
                cells = 0
                continue
            }
            let count = line.replacing("\\|", with: "").count { $0 == "|" }
            if cells > 0 { #expect(count == cells, "\(line)") }
            cells = count
        }
        for command in CommandTable.program.all {
            #expect(text.contains("\n## confab \(command.name)\n"))
        }
        for option in CommandTable.program.all.flatMap(\.options) where option.name != "help" {
            #expect(text.contains("| `--\(option.name)"), "\(option.name)")
        }
        for limit in LimitTable.all {
            #expect(text.contains("| `\(limit.name)` | \(limit.defaultText) |"))
        }
        for variable in ServeTable.withoutStores.compactMap(\.environment) {
            #expect(text.contains("`\(variable)`"))
        }
    }

    /// The path of a program; nil when it is not installed.
    static func program(_ name: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map {
            "\($0)/\(name)"
        }
        .first(where: FileManager.default.isExecutableFile(atPath:))
    }

    @Test("are scripts with valid syntax", .programs, arguments: Shell.allCases)
    func syntax(shell: Shell) throws {
        guard let program = Self.program(shell.rawValue) else {
            print("\(shell.rawValue) is not on the PATH: the check of its completion was left out")
            return
        }
        #expect(
            try run(program, ["-n"], input: shell.completionScript(.program)) == (
                .exited(0), "", ""
            ))
    }

    @Test(
        "complete in bash",
        arguments: [
            ("confab se", "serve send"), ("confab conf", "config"),
            ("confab --v", "--version"),
            ("confab config ", "check show"),
            ("confab chat --dialect ", "conversations pets chats rooms agents"),
            ("confab config s", "show"),
            ("confab config show --outp", "--output"),
            ("confab config show --output ", "text json"),
            ("confab serve --jwt-a", "--jwt-audience"),
            ("confab serve --log-level ", "debug info warning error"),
            ("confab serve --log-level = d", "debug"),
            ("confab serve --log-level =", "debug info warning error"),
            ("confab serve --limit js", "json-depth="), ("confab serve --listen ", ""),
            ("confab bench br", "broadcast"),
            ("confab completion ", "bash zsh fish --help"),
            ("confab serve --loops 2 --tls-k", "--tls-key"),
            ("confab serve --config /etc/passw", "/etc/passwd"),
        ])
    func bash(line: String, expected: String) throws {
        let program = try #require(Self.program("bash"), "bash is what this is about")
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        // compopt works only during completion.
        let script = """
            \(Shell.bash.completionScript(.program))
            compopt() { :; }
            COMP_WORDS=(\(words.map { String($0).singleQuoted }.joined(separator: " ")))
            COMP_CWORD=\(words.count - 1)
            _confab
            echo "${COMPREPLY[*]}"
            """
        let found =
            try run(program, ["--norc"], input: script).output.split(separator: "\n").last.map(
                String.init) ?? ""
        #expect(
            found.split(separator: " ").filter { !$0.hasSuffix("-") }
                == expected.split(separator: " "))
    }
}
