internal import Glibc

/// The contents of `/proc/PID/stat`.
struct ProcessStat {
    let parent: Int32
    let cpuTime: Duration
    let reapedChildrenCPUTime: Duration
    let threadCount: Int
    let startTicks: UInt64
    let virtualBytes: UInt64
    let residentPages: UInt64

    /// Returns nil if the process has ended.
    init?(folder: String) {
        guard let text = ProcFS.text("\(folder)/stat") else { return nil }
        self.init(text)
    }

    /// Returns nil if the text is malformed.
    init?(_ text: String) {
        // The program's name is in parentheses and may itself contain spaces and parentheses.
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(whereSeparator: {
            $0 == " " || $0 == "\n"
        })
        // proc(5) numbers the fields. The first one here is field 3, the state.
        func field<Number: FixedWidthInteger>(_ number: Int) -> Number? {
            fields.count > number - 3 ? Number(fields[number - 3]) : nil
        }
        guard let parent: Int32 = field(4), let user: Int64 = field(14),
            let system: Int64 = field(15), let childUser: Int64 = field(16),
            let childSystem: Int64 = field(17), let threads: Int = field(20),
            let start: UInt64 = field(22),
            let virtual: UInt64 = field(23), let resident: UInt64 = field(24)
        else { return nil }
        self.parent = parent
        self.cpuTime = Self.duration(ticks: user + system)
        self.reapedChildrenCPUTime = Self.duration(ticks: childUser + childSystem)
        self.threadCount = threads
        self.startTicks = start
        self.virtualBytes = virtual
        self.residentPages = resident
    }

    private static func duration(ticks: Int64) -> Duration {
        .nanoseconds(ticks * (1_000_000_000 / ProcFS.ticksPerSecond))
    }
}

/// Reads files under `/proc`.
enum ProcFS {
    static let ticksPerSecond = Int64(sysconf(Int32(_SC_CLK_TCK)))

    /// The start time of the system, in seconds since 1970. 0 if it cannot be read.
    static let bootTime: Double = {
        Self.text("/proc/stat").flatMap { Self.lineValue("btime ", in: $0) }.flatMap { Double($0) }
            ?? 0
    }()

    /// The contents of the file. Nil if it cannot be read.
    static func text(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(file, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                return nil  // ESRCH: the process has ended in the meantime.
            }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The names of the files in a folder. Nil if it cannot be read.
    static func fileNames(in path: String) -> [String]? {
        guard let folder = opendir(path) else { return nil }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(
                    to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)
                ) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// The text after `key` in the line that begins with it, without leading blanks.
    static func lineValue(_ key: String, in text: String) -> Substring? {
        for line in text.split(separator: "\n") where line.hasPrefix(key) {
            return line.dropFirst(key.count).drop { $0 == " " || $0 == "\t" }
        }
        return nil
    }

    /// The number of bytes in a line such as `VmHWM:     9460 kB`.
    static func lineByteCount(_ key: String, in text: String) -> UInt64? {
        self.lineValue(key, in: text).flatMap { $0.split(separator: " ").first }.flatMap {
            UInt64($0)
        }.map { $0 * 1024 }
    }
}
