public import RedisClient

extension RedisScript {
    /// A script from a Lua file.
    ///
    /// - Parameters:
    ///   - file: its text. See `ScriptAssembler`.
    ///   - constants: numbers and texts that Swift code also uses.
    ///   - included: the files that this one may include, by name.
    public init(
        lua file: [UInt8], constants: [String: String] = [:], included: [String: [UInt8]] = [:]
    ) {
        var assembler = ScriptAssembler(constants: constants, files: included)
        assembler.add(file)
        self.init(String(decoding: assembler.text, as: UTF8.self))
    }
}

/// Composes the text of a script from Lua files, whose comments have these instructions:
///
/// - `-- keys: log members` and `-- arguments: limit users...` declare local variables. `...` ends
///   the name of a list: `USERS` is the index of its first element. `_` has no variable.
/// - `-- group pin: number copy` numbers arguments that follow each other in a list, such as those
///   of one write: `PIN_NUMBER` is 0, `PIN_COPY` 1 and `PIN_SIZE` 2.
/// - `-- include reading` stands for that file, once for each script.
///
/// Names in upper case are replaced by their values, so that they cost Redis nothing. Comments and
/// indentation are removed. Comments therefore have lines of their own, and texts have single
/// quotes and no escapes.
private struct ScriptAssembler {
    var constants: [String: String]
    /// Without those that the script includes already.
    var files: [String: [UInt8]]
    var text: [UInt8] = []

    mutating func add(_ file: [UInt8]) {
        for line in file.split(separator: UInt8(ascii: "\n")) {
            let code = line.drop { $0 == UInt8(ascii: " ") }
            if code.starts(with: "--".utf8) {
                self.follow(String(decoding: code, as: UTF8.self).split(separator: " ").dropFirst())
            } else {
                self.add(code)
                self.text.append(UInt8(ascii: "\n"))
            }
        }
    }

    private mutating func follow(_ words: ArraySlice<Substring>) {
        let rest = words.dropFirst()
        switch words.first {
        case "keys:": self.declare(rest, in: "KEYS")
        case "arguments:": self.declare(rest, in: "ARGV")
        case "group":
            guard let group = rest.first?.dropLast() else { return }
            for (name, value) in zip(rest.dropFirst() + ["size"], 0...) {
                self.constants["\(group)_\(name)".uppercased()] = String(value)
            }
        case "include":
            guard let name = rest.first.map(String.init),
                let file = self.files.updateValue([], forKey: name)
            else { preconditionFailure("a Lua file includes \(rest), which is missing") }
            self.add(file)
        default: break
        }
    }

    private mutating func declare(_ names: ArraySlice<Substring>, in table: String) {
        for (name, index) in zip(names, 1...) {
            if name.hasSuffix("...") {
                self.constants[name.dropLast(3).uppercased()] = String(index)
            } else if name != "_" {
                self.text += "local \(name)=\(table)[\(index)]\n".utf8
            }
        }
    }

    /// Adds a line with the values of its constants. Texts between quotes have none.
    private mutating func add(_ code: ArraySlice<UInt8>) {
        let parts = code.split(separator: UInt8(ascii: "'"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if index > 0 { self.text.append(UInt8(ascii: "'")) }
            var rest = part
            while index % 2 == 0, let first = rest.first {
                let name = rest.prefix(while: Self.isNamePart)
                let value = self.constants[String(decoding: name, as: UTF8.self)]
                if let value { self.text += value.utf8 } else { self.text += name }
                if name.isEmpty { self.text.append(first) }
                rest = rest.dropFirst(max(1, name.count))
            }
            self.text += rest
        }
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
