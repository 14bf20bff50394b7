import Foundation
import TestKit
import Testing

@Suite("docs/operating/logs.md")
struct LogEventTests {
    /// An event: its levels and the names of its fields.
    struct LogEvent: Equatable {
        var levels: Set<String> = []
        var fields: Set<String> = []
    }

    @Test("lists every event of the log with its levels and fields, and no other")
    func events() throws {
        let documented = try Self.documentedEvents()
        let logged = try Self.loggedEvents()
        #expect(logged.count > 50)
        for (name, event) in logged {
            #expect(documented[name] == event, "\(name)")
        }
        #expect(Set(documented.keys).subtracting(logged.keys) == [])
    }

    private static func documentedEvents() throws -> [String: LogEvent] {
        var events: [String: LogEvent] = [:]
        for row in try Checkout.read("docs/operating/logs.md").split(separator: "\n") {
            let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 4, let name = cells[0].wholeMatch(of: /`([^`]+)`/)?.1 else {
                continue
            }
            events[String(name)] = LogEvent(
                levels: Set(cells[1].matches(of: /[a-z]+/).map { String($0.0) }),
                fields: Set(cells[2].matches(of: /[a-z_]+/).map { String($0.0) }))
        }
        return events
    }

    /// Finds the calls of the logger in the sources. The name of an event is a literal there.
    private static func loggedEvents() throws -> [String: LogEvent] {
        let files = FileManager.default.enumerator(atPath: Checkout.file("Sources"))?.compactMap {
            $0 as? String
        }
        var events: [String: LogEvent] = [:]
        for file in files ?? [] where file.hasSuffix(".swift") {
            let source = try Checkout.read("Sources/\(file)")
            let call =
                #/
                (?: ogger\.(debug|info|warning|error)\( | (?:write|line)\(\s*\.([a-z]+), )
                \s* (?: "([^"]+)" )?
                /#
            for match in source.matches(of: call) {
                // Declarations of the functions have no level before a name.
                guard let name = match.3 else {
                    #expect(match.1 == nil, "\(file): an event without a literal name")
                    continue
                }
                let level = try #require(match.1 ?? match.2)
                events[String(name), default: LogEvent()].levels.insert(String(level))
                events[String(name), default: LogEvent()].fields.formUnion(
                    Self.fields(from: match.range.upperBound, in: source))
            }
        }
        return events
    }

    /// The keys up to the end of the call. If it passes the variable `fields`, those of the last
    /// literal of this name.
    private static func fields(from start: String.Index, in source: String) -> [String] {
        var depth = 1
        let rest = source[start...]
        let end = rest.firstIndex { character in
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            return depth == 0
        }
        var text = rest[..<(end ?? rest.endIndex)]
        if text.wholeMatch(of: /,\s*fields/) != nil,
            let literal = source[..<start].ranges(of: "fields: LogFields = [").last
        {
            text = source[literal.upperBound...].prefix(while: { $0 != "]" })
        }
        return text.matches(of: /"([a-z_]+)":/).map { String($0.1) }
    }
}
