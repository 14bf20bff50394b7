/// The limits of a connection. Times are milliseconds.
public struct SocketLimits: Sendable, Hashable {
    /// The time within which a client must send CONNECT, after it has opened the connection or sent
    /// DISCONNECT.
    public var connectTimeout: Int64
    /// The maximum number of binary frames that a packet may announce. They are counted and
    /// dropped, so a large number costs nothing. A client that announces more makes its connection
    /// useless.
    public var attachments: Int
    /// The maximum size of a namespace's name.
    public var namespaceBytes: Int

    /// Creates limits: the default timeout is the reference server's, and no real client reaches
    /// the other defaults.
    public init(connectTimeout: Int64 = 45_000, attachments: Int = 1000, namespaceBytes: Int = 256)
    {
        self.connectTimeout = connectTimeout
        self.attachments = attachments
        self.namespaceBytes = namespaceBytes
    }
}
