/// A command: its name and its arguments.
struct CommandArguments {
    private let parts: [[UInt8]]
    /// In capitals.
    let name: String

    init(_ parts: [[UInt8]]) {
        self.parts = parts
        self.name = Self.capitals(parts.first ?? [])
    }

    /// The number of parts, the name included.
    var count: Int { self.parts.count }

    private var wrongArity: RedisFailure {
        RedisFailure("ERR wrong number of arguments for '\(self.name.lowercased())' command")
    }

    /// There is no such command.
    var unknown: RedisFailure {
        let texts = self.parts.map { "'\(String(decoding: $0, as: UTF8.self))' " }
        return RedisFailure(
            "ERR unknown command \(texts[0].dropLast()), with args beginning with: "
                + texts.dropFirst().joined())
    }

    var key: [UInt8] { get throws(RedisFailure) { try self.argument(1) } }

    func argument(_ index: Int) throws(RedisFailure) -> [UInt8] {
        guard index < self.parts.count else { throw self.wrongArity }
        return self.parts[index]
    }

    /// All arguments from this one on, at least one.
    func rest(from index: Int) throws(RedisFailure) -> ArraySlice<[UInt8]> {
        guard index < self.parts.count else { throw self.wrongArity }
        return self.parts[index...]
    }

    /// Arguments in pairs, from this one on.
    func pairs(from index: Int) throws(RedisFailure) -> [([UInt8], [UInt8])] {
        guard index < self.parts.count, (self.parts.count - index) % 2 == 0 else {
            throw self.wrongArity
        }
        return stride(from: index, to: self.parts.count, by: 2).map {
            (self.parts[$0], self.parts[$0 + 1])
        }
    }

    func text(_ index: Int) throws(RedisFailure) -> String {
        String(decoding: try self.argument(index), as: UTF8.self)
    }

    func integer(_ index: Int) throws(RedisFailure) -> Int64 {
        guard let number = Int64(try self.text(index)) else { throw .notInteger }
        return number
    }

    func float(_ index: Int) throws(RedisFailure) -> Double {
        let text = try self.text(index)
        guard let number = Double(text), !number.isNaN else { throw .notFloat }
        return number
    }

    /// An argument in capitals; empty behind the last one.
    func option(_ index: Int) -> String {
        index < self.parts.count ? Self.capitals(self.parts[index]) : ""
    }

    /// The range that the arguments 2 and 3 name; negative numbers count from the end.
    func range(of count: Int) throws(RedisFailure) -> Range<Int> {
        let (first, last) = (Int(try self.integer(2)), Int(try self.integer(3)))
        let start = max(0, first < 0 ? count + first : first)
        let end = min(count, (last < 0 ? count + last : last) + 1)
        return start < end ? start..<end : 0..<0
    }

    private static func capitals(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self).uppercased()
    }
}
