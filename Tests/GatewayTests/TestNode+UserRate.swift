import Bytes
import ChatModel
import GatewayTestSupport

@testable import Gateway

extension TestNode {
    /// The allowances that a user of a token has left.
    func rate(of user: String) -> UserRate {
        self.gateway.shared.rates.rate(
            of: .user(UserID(tokenSubject: .init(user)), tenant: "default"),
            limits: self.live.limits.ofUser, at: 0)
    }
}
