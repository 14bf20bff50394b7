import Glibc
internal import Telemetry
internal import TerminalKit

/// A terminal whose whole screen a command draws, until `leave()`.
///
/// It uses the terminal's second screen, so that the shell's output is back afterwards. The signals
/// that end the command are blocked and polled, because a handler could not restore the terminal
/// safely.
final class FullScreen {
    private static let enterSequence = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l\u{1B}[H\u{1B}[2J"
    private static let leaveSequence = "\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"
    private static let endingSignals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

    private let rawMode: RawMode
    private var drawn = ""
    private var signals = sigset_t()

    /// Nil if standard input or output is not a terminal.
    init?() {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else { return nil }
        sigemptyset(&self.signals)
        for signal in Self.endingSignals { sigaddset(&self.signals, signal) }
        // Threads that start later inherit the mask, so no thread handles these signals.
        pthread_sigmask(SIG_BLOCK, &self.signals, nil)
        guard let rawMode = RawMode(STDIN_FILENO) else { return nil }
        self.rawMode = rawMode
        CommandOutput.standard.write(Self.enterSequence)
    }

    var size: TerminalSize { RawMode.size(of: STDOUT_FILENO) }

    /// Draws a frame with one write, unless it is on the screen already.
    ///
    /// - Returns: false if the terminal is gone.
    func draw(_ lines: [String], size: TerminalSize) -> Bool {
        let text =
            "\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J"
        let frame = "\(size.columns)×\(size.rows)\(text)"
        guard frame != self.drawn else { return true }
        self.drawn = frame
        return CommandOutput.standard.write(text)
    }

    /// Waits for keys, but not longer than this.
    ///
    /// - Returns: the bytes; empty if there are none; nil if the terminal is gone.
    func keys(within milliseconds: Int32) -> [UInt8]? {
        var entry = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, milliseconds) > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(STDIN_FILENO, &bytes, bytes.count)
        if count < 0, errno == EINTR || errno == EAGAIN { return [] }
        return count > 0 ? Array(bytes.prefix(count)) : nil
    }

    /// A signal that has arrived and ends the command; nil if there is none.
    func endingSignal() -> Int32? {
        var none = timespec()
        let signal = sigtimedwait(&self.signals, nil, &none)
        return signal > 0 ? signal : nil
    }

    /// Gives the terminal back as it was.
    func leave() {
        CommandOutput.standard.write(Self.leaveSequence)
        self.rawMode.restore()
    }
}
