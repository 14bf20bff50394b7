import CURing
import Glibc

/// Sends to many sockets with one call of the kernel: what was added leaves with `submit`, in io_uring's way.
///
/// A broadcast costs one entry into the kernel instead of one for each listener, and its listeners wake up together. Every send is told
/// not to wait, so the kernel has done all of them when `submit` returns, and what was sent need not live longer. Of one thread: the
/// one that makes it.
public final class SendRing {
    // Behind a pointer, and the count without checks: every access to a class's property is checked for exclusivity, which costs more than
    // adding a send.
    private let ring: UnsafeMutablePointer<io_uring>
    private let codes: UnsafeMutableBufferPointer<Int32>
    private let scratch: UnsafeMutableRawBufferPointer
    @exclusivity(unchecked) private var scratchUsed = 0
    /// How many sends have been added since the last `submit`.
    @exclusivity(unchecked) public private(set) var count = 0

    /// The kernel has refused to go on, and keeps what it did not take: the ring must not be used any more.
    @exclusivity(unchecked) public private(set) var isBroken = false

    /// More in one call gain nothing; 50 kB.
    public static let capacity = 512
    /// So many bytes of pieces gather at most.
    public static let scratchCapacity = 65_536

    /// - Throws: where the kernel has no io_uring, or whoever runs the process forbids it, as the profiles of many containers do.
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

    /// How many bytes of pieces there is room for.
    public var freeScratchBytes: Int {
        Self.scratchCapacity - (self.count == 0 ? 0 : self.scratchUsed)
    }

    /// A place for bytes that are put together only to be sent: add it before the next one is asked for. It is theirs until the first one
    /// that is asked for after `submit`.
    ///
    /// - Returns: nil where there is not so much room.
    public func scratchBuffer(byteCount: Int) -> UnsafeMutableRawBufferPointer? {
        guard byteCount <= self.freeScratchBytes else { return nil }
        if self.count == 0 { self.scratchUsed = 0 }
        defer { self.scratchUsed += byteCount }
        return UnsafeMutableRawBufferPointer(
            rebasing: self.scratch[self.scratchUsed..<self.scratchUsed + byteCount])
    }

    /// Adds a send; there must be room. The bytes must live until `submit`.
    public func add(_ bytes: UnsafeRawBufferPointer, to socket: Socket) {
        let entry = io_uring_get_sqe(self.ring)
        io_uring_prep_send(
            entry, socket.descriptor, bytes.baseAddress, bytes.count,
            Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        io_uring_sqe_set_data64(entry, UInt64(self.count))
        self.codes[self.count] = -EAGAIN
        self.count += 1
    }

    /// Does what was added.
    ///
    /// - Returns: what became of each, in the order in which they were added; valid until the next `add`.
    public func submit() -> SendResults {
        let outcomes = SendResults(codes: UnsafeBufferPointer(rebasing: self.codes[..<self.count]))
        var open = self.count
        self.count = 0
        while open > 0 {
            let result = io_uring_submit_and_wait(self.ring, UInt32(open))
            open -= self.reap()
            // What the kernel would not take, for want of memory, is as if the socket had no room.
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

    /// What became of some sends.
    public struct SendResults {
        let codes: UnsafeBufferPointer<Int32>

        public var count: Int { self.codes.count }

        public subscript(place: Int) -> Socket.SocketResult {
            let result = self.codes[place]
            if result >= 0 { return .bytes(Int(result)) }
            return result == -EAGAIN || result == -EINTR ? .wouldBlock : .failed(-result)
        }
    }
}
