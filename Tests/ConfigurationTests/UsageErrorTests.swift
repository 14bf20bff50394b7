import Testing

@testable import Configuration

@Suite("A wrong command line")
struct UsageErrorTests {
    @Test(
        "is reported in one line that names the option and the value", arguments: commandLineErrors)
    func commandLine(line: String, words: String) {
        #expect(errorText(line) == "confab: " + words)
    }

    static let files: [(text: String, words: String)] = [
        ("", "c.json: line 1: The JSON is malformed at byte 0: it ends too early."),
        (
            "{\n  \"listen\" 1\n}",
            "c.json: line 2: The JSON is malformed at byte 13: a colon was expected."
        ),
        ("[]", "c.json: must be a JSON object: {\"listen\": \"127.0.0.1:8080\"}"),
        (#"{"lissten": "a:1"}"#, "c.json: \"lissten\" is not a setting; did you mean listen?"),
        (#"{"config": "d.json"}"#, "c.json: \"config\" is not a setting; see confab serve --help"),
        (#"{"help": true}"#, "c.json: \"help\" is not a setting; see confab serve --help"),
        (#"{"loops": 1, "loops": 2}"#, "c.json: loops is set twice"),
        (#"{"listen": 8080}"#, "c.json: listen: must be a string"),
        (#"{"listen": "8080"}"#, "c.json: listen: \"8080\" is not HOST:PORT"),
        (#"{"loops": "2"}"#, "c.json: loops: must be a number"),
        (#"{"loops": 2.5}"#, "c.json: loops: \"2.5\" is not a whole number"),
        (#"{"loops": null}"#, "c.json: loops: must be a number"),
        (#"{"anonymous": "on"}"#, "c.json: anonymous: must be true or false"),
        (#"{"origins": "*"}"#, "c.json: origins: must be an array of strings"),
        (#"{"origins": [1]}"#, "c.json: origins: must be an array of strings"),
        (#"{"limit": ["json-depth=5"]}"#, "c.json: limit: must be an object of numbers"),
        (#"{"limit": {"json-depth": "5"}}"#, "c.json: limit: \"json-depth\" must be a number"),
        (
            #"{"limit": {"json-depht": 5}}"#,
            "c.json: limit: \"json-depht\" is not a limit; did you mean json-depth?"
        ),
        (
            #"{"log-level": "loud"}"#,
            "c.json: log-level: \"loud\" is not one of debug, info, warning, error"
        ),
        (#"{"listen": "a\nb"}"#, "c.json: listen: \"a\\u{a}b\" is not HOST:PORT"),
    ]

    @Test(
        "or file is reported in one line that names the file, the setting and the value",
        arguments: files)
    func fileErrors(text: String, words: String) {
        #expect(errorText("serve --config c.json", files: ["c.json": text]) == "confab: " + words)
    }

    @Test("or environment is reported in one line that names the variable")
    func environmentErrors() {
        #expect(
            errorText("serve", environment: ["CONFAB_LISTEN": "x"])
                == "confab: CONFAB_LISTEN: \"x\" is not HOST:PORT")
        #expect(
            errorText("serve", environment: ["CONFAB_ADMIN_LISTEN": "x"])
                == "confab: CONFAB_ADMIN_LISTEN: \"x\" is not HOST:PORT")
        #expect(
            errorText("serve", environment: ["CONFAB_LIMIT": "a=1"])
                == "confab: CONFAB_LIMIT: \"a\" is not a limit; see confab serve --help")
        #expect(
            errorText("serve", environment: ["CONFAB_CONFIG": "none"])
                == "confab: none: cannot be read: No such file or directory")
        #expect(
            errorText("serve --listen a:1", environment: ["CONFAB_LISTEN": "x"]) == nil,
            "what is overruled is not read")
    }

    @Test("is never reported with a password")
    func secrets() {
        for url in [
            "redis://user:hunter2@h", "rediss://:hunter2@h/1", "redis+cluster://:hunter2@h",
        ] {
            #expect(errorText("serve --store \(url)").map { !$0.contains("hunter2") } == true)
        }
    }

    @Test("of random words is reported in one line, without a crash", arguments: 0..<40)
    func fuzz(seed: Int) throws {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        func next(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(bound))
        }
        var words: [String] = []
        for command in CommandTable.program.all {
            words += command.name.split(separator: " ").map(String.init)
            words += command.options.map { "--" + $0.name }
            words += command.argumentChoices
        }
        words += [
            "", "-", "--", "=", "--=", "-h", "-x", "é", "\u{0}", "a=b", "*", "1", "0", "-1", "1.5",
            "1h", "off", "none", "own", ",",
            "[::]:0",
        ]
        words += [
            "127.0.0.1:1", "memory:", "sqlite:x", "ws://h", "json-depth=5", "ping-seconds=0.5",
            String(repeating: "9", count: 200),
        ]
        for _ in 0..<500 {
            var arguments = (0..<next(7)).map { _ in
                let word = words[next(words.count)]
                switch next(8) {
                case 0: return word + "=" + words[next(words.count)]
                case 1: return String(word.dropFirst(next(3)))
                default: return word
                }
            }
            if next(3) > 0 {
                arguments.insert(
                    ["serve", "token", "chat", "bench", "config", "completion"][next(6)], at: 0)
            }
            let environment = [
                "CONFAB_LIMIT": words[next(words.count)],
                "CONFAB_ORIGINS": words[next(words.count)],
            ]
            do throws(UsageError) {
                _ = try Invocation(arguments, environment: environment, .program) {
                    (_: String) throws(FileProblem) in Array("{}".utf8)
                }
            } catch {
                #expect(error.description.hasPrefix("confab: "))
                #expect(
                    !error.description.unicodeScalars.contains {
                        $0.properties.generalCategory == .control
                    }, "\(arguments)")
            }
        }
    }

    @Test("is corrected by the nearest word: letters added, lost, changed or swapped")
    func spelling() {
        #expect(Spelling.distance("listen", "listen") == 0)
        #expect(Spelling.distance("", "abc") == 3)
        #expect(Spelling.distance("litsen", "listen") == 1)
        #expect(Spelling.distance("lissten", "listen") == 1)
        #expect(Spelling.distance("listn", "listen") == 1)
        #expect(Spelling.distance("kitten", "sitting") == 3)
        #expect(Spelling.nearest(to: "hist", among: ["history", "help"]) == "history")
        #expect(Spelling.nearest(to: "zzzzzz", among: ["history", "help"]) == nil)
    }
}
