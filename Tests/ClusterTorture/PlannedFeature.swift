import SeededRandom
import TestKit

/// A reaction, a pin or a search that a member requests.
struct PlannedFeature {
    enum Kind: Equatable {
        case react(String, isOn: Bool)
        case pin, unpin
        /// Searches for the word that only this message has.
        case search(String)
    }

    /// Few, so that members often share one.
    static let emoji = ["👍", "🎉", ":wave:"]
    /// The first letter of the word that only one message has.
    private static let wordMark = "w"

    let number: Int
    let kind: Kind
    /// The time of the next attempt; nil while the request waits for its answer.
    var nextAttemptAt: ContinuousClock.Instant? = .now
    var requestedAt = ContinuousClock.now

    /// A word that only this message has.
    static func word(of member: String, _ sent: Int) -> String {
        "\(Self.wordMark)\(member.filter { $0.isLetter || $0.isNumber })n\(sent)e"
    }

    /// The word that only a message with this content has; nil if it has none.
    static func word(in content: String) -> String? {
        content.split(separator: " ").first { $0.hasPrefix(Self.wordMark) && $0.contains("n") }
            .map { String($0.prefix { $0 != "," }) }
    }

    var action: String {
        switch self.kind {
        case .react: "react"
        case .pin: "pin"
        case .unpin: "unpin"
        case .search: "search"
        }
    }

    var frame: String {
        switch self.kind {
        case .react(let emoji, let isOn):
            #"{"action":"react","message_id":"\#(self.number)","emoji":"\#(emoji)","on":\#(isOn)}"#
        case .pin, .unpin: #"{"action":"\#(self.action)","message_id":"\#(self.number)"}"#
        case .search(let word): #"{"action":"search","text":"\#(word)"}"#
        }
    }

    /// The meaning of an error that answers the request.
    enum FeatureErrorMeaning: Equatable {
        /// It changes nothing, and a retry does not help: others may delete and unpin messages.
        case refused
        case retryLater, unexpected
        /// The error belongs to an earlier request that was sent and answered twice.
        case ofEarlierRequest
    }

    func meaning(ofError error: String, to action: String?) -> FeatureErrorMeaning {
        if action != self.action { return .ofEarlierRequest }
        if let match = error.firstMatch(of: /message ([0-9]+)/), Int(match.1) != self.number {
            return .ofEarlierRequest
        }
        if error.hasSuffix("is deleted") { return .refused }
        if self.kind == .unpin, error.hasSuffix("is not pinned") { return .refused }
        if self.kind == .pin, error.contains("has its 100 pinned messages") { return .refused }
        return error.contains("try again") || error.contains("slow down")
            ? .retryLater : .unexpected
    }

    /// A random feature of one of the newest messages.
    static func random(
        upTo head: Int, own: HistoryChecker.ReceivedMessage?, using random: inout SeededGenerator
    ) -> PlannedFeature? {
        guard head > 0 else { return nil }
        let number = max(1, head - random.next(below: 12))
        switch random.number(0...9) {
        case 0...5:
            return PlannedFeature(
                number: number,
                kind: .react(random.pick(Self.emoji)!, isOn: random.happens(perMille: 650)))
        case 6: return PlannedFeature(number: number, kind: .pin)
        case 7: return PlannedFeature(number: number, kind: .unpin)
        default:
            return own.flatMap { message in
                Self.word(in: message.content).map {
                    PlannedFeature(number: message.number, kind: .search($0))
                }
            }
        }
    }
}

/// What a message refers to.
public struct MessageReferences: Sendable, Equatable {
    public var replyTo: Int?
    public var mentions: [String]

    public init(replyTo: Int? = nil, mentions: [String] = []) {
        self.replyTo = replyTo
        self.mentions = mentions
    }

    /// Now and then a reply to one of the newest messages, and now and then a mention. Members
    /// mention themselves, because others may not have joined.
    static func random(upTo head: Int, by member: String, using random: inout SeededGenerator)
        -> MessageReferences
    {
        var references = MessageReferences()
        if head > 0, random.happens(perMille: 250) {
            references.replyTo = max(1, head - random.next(below: 10))
        }
        if random.happens(perMille: 150) { references.mentions = [member] }
        return references
    }
}
