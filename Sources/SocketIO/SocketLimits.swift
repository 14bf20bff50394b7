/// The bounds of a connection. Times are milliseconds.
public struct SocketLimits: Sendable, Hashable {
    /// How long a client may take to CONNECT, from the opening of the connection or from its last DISCONNECT.
    public var connectTimeout: Int64
    /// The most binary frames that a packet may announce. They are counted and dropped, so many of them cost nothing; who announces more
    /// means to keep the connection from ever being heard again.
    public var attachments: Int
    /// The most bytes of a namespace's name.
    public var namespaceBytes: Int

    /// The reference server's time, and bounds that no client reaches in earnest.
    public init(connectTimeout: Int64 = 45_000, attachments: Int = 1000, namespaceBytes: Int = 256)
    {
        self.connectTimeout = connectTimeout
        self.attachments = attachments
        self.namespaceBytes = namespaceBytes
    }
}
