internal import Bytes
internal import JSON

/// A configuration file: a JSON object whose members are settings.
struct ConfigurationFile {
    let path: String
    /// The values of each setting, in the form of the command line.
    let values: [String: [String]]

    /// Parses the file's text. The values are checked later, when they are applied.
    init(path: String, bytes: [UInt8]) throws(UsageError) {
        self.path = path
        let tree: JSONTree
        do throws(JSONError) {
            tree = try JSONTree(parsing: bytes.span.bytes, depthLimit: 8, valueLimit: 10_000)
        } catch {
            let line = 1 + bytes.prefix(error.offset).count { $0 == UInt8(ascii: "\n") }
            throw .badFile(path, problem: "line \(line): \(error.description)")
        }
        guard let members = tree.members else {
            throw .badFile(path, problem: "must be a JSON object: {\"listen\": \"127.0.0.1:8080\"}")
        }
        let options = ServeTable.withoutStores
        var values: [String: [String]] = [:]
        for member in members {
            guard let option = options.first(where: { $0.fileKey == member.name }) else {
                throw .unknownKey(
                    file: path, key: member.name,
                    suggestion: Spelling.nearest(
                        to: member.name, among: options.compactMap(\.fileKey)))
            }
            guard values[option.name] == nil else {
                throw .badFile(path, problem: "\(option.name) is set twice")
            }
            do throws(ValueProblem) {
                values[option.name] = try Self.texts(of: member.value, for: option)
            } catch {
                throw .badValue(name: "\(path.escaped): \(option.name)", problem: error.reason)
            }
        }
        self.values = values
    }

    private static func texts(of value: JSONTree, for option: OptionSpec) throws(ValueProblem)
        -> [String]
    {
        switch (option.form, value) {
        case (.text, .string(let text)), (.file, .string(let text)), (.choice, .string(let text)),
            (.number, .number(let text)):
            return [text]
        case (.toggle, .bool(let isOn)):
            return [isOn ? "on" : "off"]
        case (.list, .array(let elements)), (.files, .array(let elements)):
            var texts: [String] = []
            for element in elements {
                guard case .string(let text) = element else {
                    throw ValueProblem("must be an array of strings")
                }
                texts.append(text)
            }
            return texts.isEmpty && option.form == .list ? ["none"] : texts
        case (.limits, .object(let members)):
            var texts: [String] = []
            for member in members {
                guard case .number(let text) = member.value else {
                    throw ValueProblem("\(member.name.quoted) must be a number")
                }
                texts.append("\(member.name)=\(text)")
            }
            return texts
        default:
            throw ValueProblem("must be \(Self.expectation(of: option.form))")
        }
    }

    private static func expectation(of form: OptionSpec.Form) -> String {
        switch form {
        case .flag, .toggle: "true or false"
        case .text, .file, .choice: "a string"
        case .number, .optionalNumber: "a number"
        case .list, .files: "an array of strings"
        case .limits: "an object of numbers"
        }
    }
}

/// A file error, in the system's words.
public struct FileProblem: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }

    init(_ error: SmallFile.ReadError) {
        switch error {
        case .system(let reason): self.description = reason
        case .tooLong: self.description = "is longer than \(SmallFile.byteLimit) bytes"
        }
    }

    /// Reads a whole file of up to 1 MiB.
    public static func read(_ path: String) throws(FileProblem) -> [UInt8] {
        do throws(SmallFile.ReadError) {
            return try SmallFile.read(path)
        } catch {
            throw FileProblem(error)
        }
    }

    /// Reads a secret or a token, without one newline at the end.
    public static func readSecret(_ path: String) throws(FileProblem) -> [UInt8] {
        do throws(SmallFile.ReadError) {
            return try SmallFile.readSecret(path)
        } catch {
            throw FileProblem(error)
        }
    }
}
