import Bytes
import Configuration
import Glibc
import HTTPWire
import JSON

/// `confab support`: collects the documents of all nodes in one archive.
extension OperatorCommand {
    private static let documents: [(path: String, values: [JSONTree.ObjectMember])] = [
        ("status", []), ("nodes", []), ("shards", []), ("events", [.init("last", 1000)]),
        ("redis", []), ("doctor", []),
    ]

    func support() throws(AdminProblem) -> Int32 {
        let path = self.options.text("file")
        // Before the nodes are asked, because that takes seconds.
        guard self.options.isConfirmed || access(path, F_OK) != 0 else {
            return self.refuse("\(path) exists; --yes replaces it")
        }
        let collected = try self.client.get("support")
        let now = Int(time(nil))
        let stamp = Timestamp(milliseconds: Int64(now) * 1000).text.filter { $0.isNumber }
        let folder = "confab-support-\(stamp.prefix(14))/"
        var archive = TarArchive(modifiedAt: now)
        var problems: [String] = []
        for (name, values) in Self.documents {
            do throws(AdminProblem) {
                let document = try self.client.get(name, values)
                archive.add("\(folder)\(name).json", Array((document.text + "\n").utf8))
            } catch {
                problems.append("\(name).json is missing: \(error.message)")
            }
        }
        var versions = ""
        var names: Set<String> = []
        for node in collected["nodes"]?.elements ?? [] {
            let name = node["node"]?.stringValue ?? "?"
            versions += "\(name) \(node["version"]?.stringValue ?? "unknown")\n"
            guard let files = node["files"]?.elements else {
                problems.append("the files of \(name) are missing: the node does not answer")
                continue
            }
            let nodeFolder = Self.folder(name, node["incarnation"]?.stringValue, &names)
            for file in files {
                guard let fileName = file["name"]?.stringValue, let text = file["text"]?.stringValue
                else { continue }
                archive.add("\(folder)\(nodeFolder)/\(fileName.prefix(24))", Array(text.utf8))
            }
        }
        archive.add("\(folder)version.txt", Array(versions.utf8))
        if !problems.isEmpty {
            archive.add(
                "\(folder)problems.txt", Array(problems.map { "\($0)\n" }.joined().utf8))
        }
        let bytes = Gzip.compress(archive.bytes)
        do throws(FileProblem) {
            try Self.write(bytes, to: path, replacing: self.options.isConfirmed)
        } catch {
            return self.refuse("\(path): \(error)")
        }
        for problem in problems { self.screen.printError("confab: \(problem)") }
        _ = self.printSummary(
            "\(path): \(Formatting.bytes(Double(bytes.count)))", dryRun: false)
        return self.screen.showMissingNodes(of: collected)
    }

    private func refuse(_ message: String) -> Int32 {
        self.screen.printError("confab: support: \(message)")
        return 1
    }

    /// A folder's name in the archive: short, plain, and different for each node.
    private static func folder(_ name: String, _ incarnation: String?, _ names: inout Set<String>)
        -> String
    {
        let plain = String(PercentEncoding.encode(name).prefix(24))
        let isNew = names.insert(plain).inserted
        return isNew ? plain : "\(plain)-\(incarnation ?? "")"
    }

    /// Writes a file that only its owner may read. An interrupted write leaves an existing file
    /// unchanged.
    private static func write(_ bytes: [UInt8], to path: String, replacing: Bool)
        throws(FileProblem)
    {
        let place = replacing ? "\(path).part" : path
        if replacing { unlink(place) }
        let file = open(place, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw FileProblem(String(cString: strerror(errno))) }
        var reason: Int32 = 0
        var written = 0
        while written < bytes.count, reason == 0 {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(file, $0.baseAddress, $0.count)
            }
            if count >= 0 { written += count } else if errno != EINTR { reason = errno }
        }
        if fsync(file) != 0, reason == 0 { reason = errno }
        if close(file) != 0, reason == 0 { reason = errno }
        if reason == 0, replacing, rename(place, path) != 0 { reason = errno }
        guard reason == 0 else {
            unlink(place)
            throw FileProblem(String(cString: strerror(reason)))
        }
    }
}
