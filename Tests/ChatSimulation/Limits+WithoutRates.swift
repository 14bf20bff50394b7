public import ChatModel

extension Limits {
    /// With a rate that no test reaches, and small traces.
    public static var withoutRates: Limits {
        var limits = Limits()
        limits.messagesPerSecond = 1_000_000
        limits.messageBurst = 1_000_000
        limits.traceSteps = 1024
        return limits
    }
}
