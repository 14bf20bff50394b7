import ChatModel
import NodeLink
import RedisClient

/// Why a copy has stopped: a sentence for operators.
public struct CopyFailure: Error, CustomStringConvertible {
    public let description: String
    /// Whether Redis has not replied. A second run continues the copy.
    public let isUnanswered: Bool

    init(_ description: String, isUnanswered: Bool = false) {
        self.description = description
        self.isUnanswered = isUnanswered
    }

    /// The failure of any part of the copy.
    init(_ error: any Error) {
        switch error {
        case let failure as CopyFailure: self = failure
        case let failure as BlockingRedisClient.CallFailure:
            let isUnanswered = if case .unanswered = failure { true } else { false }
            self.init("--to: \(failure)", isUnanswered: isUnanswered)
        case let failure as ClusterReader.ClusterReadError:
            self.init("--to: \(failure)", isUnanswered: !failure.isPermanent)
        case let failure as CopyTarget.CopyRefusal: self.init("--to: \(failure)")
        case let failure as StoreFailure: self.init("--from: \(failure)")
        default: self.init("--to: \(error)")
        }
    }
}
