internal import EventLoop

/// A command in bytes, on its way to whichever server of a cluster does it.
struct QueuedCommand: Equatable {
    let tag: UInt64
    let slot: RedisSlot
    /// WAIT, which says nothing about a command that another server has done.
    let isWait: Bool
    let bytes: [UInt8]
    var writtenAt: MonotonicTime
    /// How often a server has sent it elsewhere, and how often one has put it off.
    var redirects: UInt8 = 0
    var retries: UInt8 = 0
    /// It waits until then.
    var retryAt = MonotonicTime(nanoseconds: .min)
}

extension QueuedCommand {
    /// Whether a command waits for replicas: `WAIT`, `WAITAOF`. It has no key, so no server says that it is elsewhere.
    static func isWait(_ command: some Collection<UInt8>) -> Bool {
        command.starts(with: Self.wait) || command.starts(with: Self.waitForFile)
    }

    private static let wait = Array("*3\r\n$4\r\nWAIT\r\n".utf8)
    private static let waitForFile = Array("*4\r\n$7\r\nWAITAOF\r\n".utf8)
}
