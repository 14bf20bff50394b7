import Glibc
import Testing

@testable import EventLoop

private func kernelHasRings() -> Bool { (try? SendRing()) != nil }

@Suite(
    "Sends in one system call",
    .enabled(if: kernelHasRings(), "the kernel has no io_uring, or forbids it"))
struct SendRingTests {
    /// Two connected stream sockets, closed together.
    private final class StreamPair {
        let near: Socket
        let far: Socket

        init() { (self.near, self.far) = socketPair() }

        deinit {
            self.near.close()
            self.far.close()
        }

        /// All bytes that have arrived.
        func received() -> [UInt8] {
            var bytes: [UInt8] = []
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 1)
            defer { buffer.deallocate() }
            while case .bytes(let count) = self.far.read(into: buffer) { bytes += buffer[..<count] }
            return bytes
        }
    }

    @Test(
        "deliver the right bytes to each socket, over several rounds"
    )
    func many() throws {
        let ring = try SendRing()
        let pairs = (0..<60).map { _ in StreamPair() }
        let words = (0..<pairs.count).map { number in Array("for \(number)".utf8) }
        for round in 1...20 {
            for (pair, word) in zip(pairs, words) {
                word.withUnsafeBytes { ring.add($0, to: pair.near) }
            }
            let outcomes = ring.submit()
            #expect(
                (0..<outcomes.count).map { outcomes[$0] } == words.map { .bytes($0.count) },
                "round \(round)")
            #expect(ring.count == 0)
        }
        for (pair, word) in zip(pairs, words) {
            #expect(pair.received() == (0..<20).flatMap { _ in word })
        }
    }

    @Test("fill the ring, which is empty again after submit")
    func full() throws {
        let ring = try SendRing()
        // The kernel buffers only some hundreds of the smallest sends per stream, so eight streams
        // share them.
        let pairs = (0..<8).map { _ in StreamPair() }
        let byte: [UInt8] = [7]
        byte.withUnsafeBytes { bytes in
            while !ring.isFull { ring.add(bytes, to: pairs[ring.count % 8].near) }
            #expect(ring.submit().count == SendRing.capacity)
            ring.add(bytes, to: pairs[0].near)
            #expect(ring.submit().count == 1)
        }
        #expect(ring.submit().count == 0)
        #expect(pairs.map { $0.received().count }.reduce(0, +) == SendRing.capacity + 1)
    }

    @Test(
        "never block: full and broken sockets return their result, and others are served"
    )
    func fullAndBrokenSockets() throws {
        let ring = try SendRing()
        let (full, broken, healthy) = (StreamPair(), StreamPair(), StreamPair())
        broken.far.shutdownWriting()
        _ = shutdown(broken.near.descriptor, Int32(SHUT_RDWR))
        let much = [UInt8](repeating: 1, count: 4 << 20)
        try much.withUnsafeBytes { bytes in
            ring.add(bytes, to: full.near)
            let first = ring.submit()
            guard case .bytes(let count) = first[0] else {
                throw SocketError(call: "send", errno: 0)
            }
            #expect(count > 0 && count < bytes.count)
            ring.add(bytes, to: full.near)
            ring.add(UnsafeRawBufferPointer(rebasing: bytes[..<5]), to: broken.near)
            ring.add(UnsafeRawBufferPointer(rebasing: bytes[..<5]), to: healthy.near)
            let second = ring.submit()
            #expect(second[0] == .wouldBlock)
            #expect(second[1] == .failed(EPIPE))
            #expect(second[2] == .bytes(5))
        }
        #expect(healthy.received().count == 5)
        #expect(!ring.isBroken)
    }

    @Test("provide scratch buffers up to the capacity, until submit")
    func scratchBuffers() throws {
        let ring = try SendRing()
        let pair = StreamPair()
        for round in 0..<3 {
            for number in 0..<4 {
                let piece = try #require(
                    ring.scratchBuffer(byteCount: SendRing.scratchCapacity / 4), "round \(round)")
                piece.initializeMemory(as: UInt8.self, repeating: UInt8(10 * round + number))
                ring.add(UnsafeRawBufferPointer(rebasing: piece[..<100]), to: pair.near)
            }
            #expect(ring.freeScratchBytes == 0 && ring.scratchBuffer(byteCount: 1) == nil)
            #expect(ring.submit().count == 4)
            let sent: [[UInt8]] = (0..<4).map { number in
                [UInt8](repeating: UInt8(10 * round + number), count: 100)
            }
            #expect(pair.received() == Array(sent.joined()))
        }
        #expect(ring.scratchBuffer(byteCount: SendRing.scratchCapacity + 1) == nil)
        #expect(ring.freeScratchBytes == SendRing.scratchCapacity)
    }
}
