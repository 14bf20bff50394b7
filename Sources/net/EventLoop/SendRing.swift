import CURing
import Glibc

/// Sends to many sockets with one system call, by io_uring. `submit` sends everything that was
/// added before.
///
/// A broadcast then enters the kernel once and not once per receiver, and the receivers wake up
/// together. All sends are non-blocking, so the kernel has finished them when `submit` returns, and
/// the bytes need not live longer. Only the thread that created the ring may use it.
public final class SendRing {
    // The ring is behind a pointer and the counters are unchecked. Each access to a class property
    // is otherwise checked for exclusivity, which costs more than adding a send.
    private let ring: UnsafeMutablePointer<io_uring>
    private let codes: UnsafeMutableBufferPointer<Int32>
    private let scratch: UnsafeMutableRawBufferPointer
    @exclusivity(unchecked) private var scratchUsed = 0
    /// The number of sends added since the last `submit`.
    @exclusivity(unchecked) public private(set) var count = 0

    /// The kernel failed and still holds sends that it did not complete. The ring must not be used
    /// any more.
    @exclusivity(unchecked) public private(set) var isBroken = false

    /// More sends per call gain nothing. The ring takes 50 kB.
    public static let capacity = 512
    /// The maximum number of scratch bytes between two submits.
    public static let scratchCapacity = 65_536

    /// - Throws: if the kernel has no io_uring or its use is forbidden, as in the profiles of many
    ///   containers.
    public init() throws(SocketError) {
        var parameters = io_uring_params()
        parameters.flags = UInt32(IORING_SETUP_SINGLE_ISSUER) | UInt32(IORING_SETUP_DEFER_TASKRUN)
        let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        ring.initialize(to: io_uring())
        let result = io_uring_queue_init_params(UInt32(Self.capacity), ring, &parameters)
        guard result == 0 else {
            ring.deallocate()
            throw SocketError(call: "io_uring_setup", errno: -result)
        }
        self.ring = ring
        self.codes = .allocate(capacity: Self.capacity)
        self.scratch = .allocate(byteCount: Self.scratchCapacity, alignment: 16)
    }

    deinit {
        self.codes.deallocate()
        self.scratch.deallocate()
        io_uring_queue_exit(self.ring)
        self.ring.deallocate()
    }

    public var isFull: Bool { self.count == Self.capacity }

    /// The number of free scratch bytes.
    public var freeScratchBytes: Int {
        Self.scratchCapacity - (self.count == 0 ? 0 : self.scratchUsed)
    }

    /// Returns a scratch buffer for bytes that are assembled only for one send. Add the send before
    /// you request the next buffer. The buffer is valid until the first request after `submit`.
    ///
    /// - Returns: nil if fewer bytes are free.
    public func scratchBuffer(byteCount: Int) -> UnsafeMutableRawBufferPointer? {
        guard byteCount <= self.freeScratchBytes else { return nil }
        if self.count == 0 { self.scratchUsed = 0 }
        defer { self.scratchUsed += byteCount }
        return UnsafeMutableRawBufferPointer(
            rebasing: self.scratch[self.scratchUsed..<self.scratchUsed + byteCount])
    }

    /// Adds a send. The ring must not be full, and the bytes must live until `submit`.
    public func add(_ bytes: UnsafeRawBufferPointer, to socket: Socket) {
        let entry = io_uring_get_sqe(self.ring)
        io_uring_prep_send(
            entry, socket.descriptor, bytes.baseAddress, bytes.count,
            Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        io_uring_sqe_set_data64(entry, UInt64(self.count))
        self.codes[self.count] = -EAGAIN
        self.count += 1
    }

    /// Performs the added sends.
    ///
    /// - Returns: their results in the order in which they were added, valid until the next `add`.
    public func submit() -> SendResults {
        let outcomes = SendResults(codes: UnsafeBufferPointer(rebasing: self.codes[..<self.count]))
        var open = self.count
        self.count = 0
        while open > 0 {
            let result = io_uring_submit_and_wait(self.ring, UInt32(open))
            open -= self.reap()
            // A send that the kernel did not accept for lack of memory counts as a send to a full
            // socket.
            if result < 0, result != -EINTR, open > 0 {
                self.isBroken = true
                break
            }
        }
        return outcomes
    }

    private func reap() -> Int {
        var reaped = 0
        var entry: UnsafeMutablePointer<io_uring_cqe>?
        while io_uring_peek_cqe(self.ring, &entry) == 0, let done = entry {
            self.codes[Int(done.pointee.user_data)] = done.pointee.res
            io_uring_cqe_seen(self.ring, done)
            reaped += 1
        }
        return reaped
    }

    /// The results of the sends of one `submit`.
    public struct SendResults {
        let codes: UnsafeBufferPointer<Int32>

        public var count: Int { self.codes.count }

        public subscript(index: Int) -> Socket.SocketResult {
            let result = self.codes[index]
            if result >= 0 { return .bytes(Int(result)) }
            return result == -EAGAIN || result == -EINTR ? .wouldBlock : .failed(-result)
        }
    }
}
