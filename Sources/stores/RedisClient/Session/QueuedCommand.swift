internal import EventLoop

/// An encoded command that a cluster node still has to execute.
struct QueuedCommand: Equatable {
    let tag: CommandTag
    let slot: RedisSlot
    /// WAIT says nothing about a command that another server has executed.
    let isWait: Bool
    let bytes: [UInt8]
    var writtenAt: MonotonicTime
    /// How often a server has redirected it, and how often one has replied TRYAGAIN.
    var redirects: UInt8 = 0
    var retries: UInt8 = 0
    /// Not sent before this time.
    var retryAt = MonotonicTime(nanoseconds: .min)
}

extension QueuedCommand {
    /// Whether the command waits for replicas (`WAIT`, `WAITAOF`). It has no key, so servers never
    /// redirect it.
    static func isWait(_ command: some Collection<UInt8>) -> Bool {
        command.starts(with: Self.wait) || command.starts(with: Self.waitForFile)
    }

    private static let wait = Array("*3\r\n$4\r\nWAIT\r\n".utf8)
    private static let waitForFile = Array("*4\r\n$7\r\nWAITAOF\r\n".utf8)
}
