import Bytes
import ChatModel
import RedisClient

/// The entries that other keys of a conversation lack, as its messages show.
struct MissingParts {
    /// The entries of replies in the sorted set of threads.
    fileprivate(set) var threadEntries: [ByteString] = []
    /// The messages that are pinned, without a copy.
    fileprivate(set) var pins: [Message] = []

    var isEmpty: Bool { self.threadEntries.isEmpty && self.pins.isEmpty }

    /// Appends the last arguments of `StoreScripts.repair`.
    func write(to command: inout RedisCommandWriter) {
        command.append(self.threadEntries.count)
        for entry in self.threadEntries { command.append(text: entry) }
        for pin in self.pins {
            command.append(pin.sequence)
            var copy = ByteBuffer()
            StoredPin.write(pin, revision: pin.revision, to: &copy)
            command.append(copy)
        }
    }

    var faults: [String] {
        var faults: [String] = []
        if !self.threadEntries.isEmpty {
            let count = self.threadEntries.count
            faults.append("the threads lack \(count) \(count == 1 ? "reply" : "replies")")
        }
        for pin in self.pins { faults.append("the pins lack message \(pin.sequence)") }
        return faults
    }
}

/// Finds replies and pins that their keys lack. The message itself is the original of both, so
/// adding them is certain to be right.
extension RedisStore {
    /// Ends at a damaged part of the stream, which every reader of its messages reports.
    func missingParts(of key: ConversationKey) async throws(StoreFailure) -> MissingParts {
        var (missing, before) = (MissingParts(), SequenceNumber?.none)
        repeat {
            let page: (messages: [Message], oldest: SequenceNumber, next: SequenceNumber?)
            do throws(StoreFailure) {
                page = try await self.messages(of: key, before: before)
            } catch {
                guard error.isRequestSpecific else { throw error }
                return missing
            }
            before = page.next
            let entries = page.messages.compactMap { message -> ByteString? in
                guard message.body.annotations?.reply != nil else { return nil }
                var entry = ByteBuffer()
                StoredReferences.writeThreadEntry(of: message, to: &entry)
                return ByteString(entry.text)
            }
            missing.threadEntries += try await self.missing(entries, .threads, "ZMSCORE", key)
            let pins = page.messages.filter(\.isPinned)
            let absent = try await self.missing(
                pins.map { ByteString("\($0.sequence)") }, .pins, "HMGET", key)
            missing.pins += pins.filter { absent.contains(ByteString("\($0.sequence)")) }
        } while before != nil
        return missing
    }

    /// The messages of one page that can be read; reading them shows the others.
    private func messages(of key: ConversationKey, before: SequenceNumber?)
        async throws(StoreFailure)
        -> (messages: [Message], oldest: SequenceNumber, next: SequenceNumber?)
    {
        let shard = Shard.of(key)
        let reply = try await self.call(self.settings.slot(of: shard), about: key.description) {
            command, arguments in
            arguments.append(StoreScripts.window, of: key, in: shard, to: &command)
            if let before { command.append(clamped: before) } else { command.append("") }
            command.append(MessageSearch.pageSize)
        }
        let oldest = reply[0].number ?? 1
        let amendments = Self.pairs(reply[2])
        var (messages, position) = ([Message](), 0)
        var next: SequenceNumber?
        while let id = reply[1][position][0].text {
            let fields = reply[1][position][1]
            position += 1
            guard let number = Int(id.prefix { $0 != "-" }) else { continue }
            next = next ?? number
            let message = LayoutReader.message(
                number, fields[1].text ?? "", references: fields[3].text,
                amendment: amendments[number])
            if let message { messages.append(message) }
        }
        return (messages, oldest, next.flatMap { $0 > oldest ? $0 : nil })
    }

    private static func pairs(_ list: RedisValue) -> [SequenceNumber: String] {
        var (pairs, position) = ([SequenceNumber: String](), 0)
        while let number = list[position].number {
            pairs[number] = list[position + 1].text
            position += 2
        }
        return pairs
    }

    /// Returns those of the names that the part of the conversation lacks.
    ///
    /// - Parameters:
    ///   - part: a sorted set or a hash.
    ///   - command: returns nil for a name that the part lacks: `HMGET`, or `ZMSCORE`.
    private func missing(
        _ names: [ByteString], _ part: StoreKeys.ConversationPart, _ command: StaticString,
        _ key: ConversationKey
    ) async throws(StoreFailure) -> [ByteString] {
        if names.isEmpty { return [] }
        let shard = Shard.of(key)
        let reply = try await self.call(self.settings.slot(of: shard), about: key.description) {
            writer, arguments in
            writer.append(command)
            arguments.append(part, of: key, in: shard, to: &writer)
            for name in names { writer.append(text: name) }
        }
        return names.indices.filter { reply[$0] == .nothing }.map { names[$0] }
    }
}
