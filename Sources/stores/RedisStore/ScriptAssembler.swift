import CScripts
public import RedisClient

extension RedisScript {
    /// A script from a Lua file, with its keys and arguments as local variables.
    ///
    /// A last name that ends with `...` is that of a list: `users...` becomes the constant `USERS`,
    /// the index of the list's first element. `_` stands for an argument that the script ignores.
    ///
    /// - Parameters:
    ///   - file: its name without its extension.
    ///   - keys: their names, in the order of the command.
    ///   - arguments: as `keys`.
    ///   - layouts: the groups of arguments in its lists.
    ///   - constants: further constants and their Lua, such as numbers that Swift code also uses.
    public init(
        lua file: String, keys: String = "key", arguments: String = "",
        layouts: [ArgumentLayout] = [], constants: [String: String] = [:]
    ) {
        var assembler = ScriptAssembler(constants)
        for layout in layouts { assembler.define(layout.constants) }
        self.init(assembler.assemble(file, keys: keys, arguments: arguments))
    }
}

/// The names of arguments that follow each other in a script's list, such as those of one write.
///
/// For Lua the name becomes constants: `PIN_NUMBER` is 0, `PIN_COPY` 1 and `PIN_SIZE` 2.
public struct ArgumentLayout: Sendable {
    let constants: [String: String]

    /// - Parameters:
    ///   - name: the prefix of the constants.
    ///   - fields: the names of the arguments, in order.
    public init(_ name: String, _ fields: String) {
        let fields = fields.split(separator: " ")
        var constants = [(name + "_size").uppercased(): String(fields.count)]
        for (index, field) in fields.enumerated() {
            constants[(name + "_" + field).uppercased()] = String(index)
        }
        self.constants = constants
    }
}

/// Composes the text of a script from Lua files.
///
/// A line `-- include reading` is replaced by that file, once for each script. Names in upper case
/// are constants, which are replaced by their values, so that they cost Redis nothing. Comments,
/// indentation and empty lines are removed. Texts in Lua therefore have single quotes and no
/// escapes, and comments have lines of their own.
struct ScriptAssembler {
    private var text: [UInt8] = []
    private var constants: [String: String]
    private var included: Set<String> = []

    init(_ constants: [String: String]) { self.constants = constants }

    mutating func define(_ constants: [String: String]) {
        self.constants.merge(constants) { first, _ in first }
    }

    mutating func assemble(_ file: String, keys: String, arguments: String) -> String {
        let head = Self.text(of: file).prefix { $0 != UInt8(ascii: "\n") }
        // Flags for Redis must be the first line.
        if head.starts(with: "#!".utf8) { self.text += head + [UInt8(ascii: "\n")] }
        self.declare(keys, in: "KEYS")
        self.declare(arguments, in: "ARGV")
        self.add(file)
        return String(decoding: self.text, as: UTF8.self)
    }

    private mutating func declare(_ names: String, in table: String) {
        var variables: [Substring] = []
        var values: [String] = []
        for (index, name) in names.split(separator: " ").enumerated() {
            if name.hasSuffix("...") {
                self.constants[name.dropLast(3).uppercased()] = String(index + 1)
            } else if name != "_" {
                variables.append(name)
                values.append("\(table)[\(index + 1)]")
            }
        }
        guard !variables.isEmpty else { return }
        let line = variables.joined(separator: ",") + "=" + values.joined(separator: ",")
        self.text += "local \(line)\n".utf8
    }

    private mutating func add(_ file: String) {
        guard self.included.insert(file).inserted else { return }
        for line in Self.text(of: file).split(separator: UInt8(ascii: "\n")) {
            let code = line.drop { $0 == UInt8(ascii: " ") }
            if code.starts(with: "-- include ".utf8) {
                self.add(String(decoding: code.dropFirst("-- include ".utf8.count), as: UTF8.self))
            } else if !code.starts(with: "--".utf8), !code.starts(with: "#!".utf8) {
                self.add(code: code)
                self.text.append(UInt8(ascii: "\n"))
            }
        }
    }

    /// Adds a line with the values of its constants.
    private mutating func add(code: ArraySlice<UInt8>) {
        var rest = code
        while let first = rest.first {
            let part: ArraySlice<UInt8>
            if first == UInt8(ascii: "'") {
                part = rest.prefix(1) + rest.dropFirst().prefix { $0 != first } + [first]
            } else if Self.isNamePart(first) {
                part = rest.prefix(while: Self.isNamePart)
            } else {
                part = rest.prefix(1)
            }
            rest = rest.dropFirst(part.count)
            self.add(part: part)
        }
    }

    private mutating func add(part: ArraySlice<UInt8>) {
        let isConstant =
            part.first.map { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 } ?? false
        guard isConstant else { return self.text += part }
        let name = String(decoding: part, as: UTF8.self)
        if name == "KEYS" || name == "ARGV" { return self.text += part }
        guard let value = self.constants[name] else {
            preconditionFailure("a Lua file has the constant \(name), which its script lacks")
        }
        let plus = " + ".utf8
        if value == "0", self.text.suffix(plus.count).elementsEqual(plus) {
            return self.text.removeLast(plus.count)
        }
        self.text += value.utf8
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func text(of file: String) -> [UInt8] {
        var count = 0
        let files = UnsafeBufferPointer(start: lua_files(&count), count: count)
        guard let found = files.first(where: { String(cString: $0.name) == file }) else {
            preconditionFailure("CScripts has no file \(file).lua")
        }
        return Array(String(cString: found.text).utf8)
    }
}
