internal import Glibc

/// Raw mode of a terminal, until `restore()`: the terminal passes on every key at once and echoes
/// none.
public struct RawMode {
    private let descriptor: Int32
    private let savedSettings: termios

    /// Begins raw mode. Nil when the descriptor is not a terminal.
    public init?(_ descriptor: Int32) {
        var settings = termios()
        guard tcgetattr(descriptor, &settings) == 0 else { return nil }
        self.descriptor = descriptor
        self.savedSettings = settings
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
        settings.c_iflag &= ~tcflag_t(IXON)
        withUnsafeMutableBytes(of: &settings.c_cc) { keys in
            keys[Int(VMIN)] = 1
            keys[Int(VTIME)] = 0
            // Ctrl-C still sends its signal. Ctrl-Z is disabled, because the shell would get a
            // terminal without echo.
            keys[Int(VSUSP)] = 0
        }
        guard tcsetattr(descriptor, TCSADRAIN, &settings) == 0 else { return nil }
    }

    /// Makes the terminal mark pasted text (xterm's bracketed paste mode).
    public static let beginPasteMarks = "\u{1B}[?2004h"
    /// Ends what `beginPasteMarks` began.
    public static let endPasteMarks = "\u{1B}[?2004l"

    /// Sets the modes that the terminal had before.
    public func restore() {
        var settings = self.savedSettings
        tcsetattr(self.descriptor, TCSADRAIN, &settings)
    }

    /// The size of the terminal; 80×24 where it is unknown.
    public static func size(of descriptor: Int32) -> TerminalSize {
        // `struct winsize`: rows, columns, and both in pixels.
        var size: (UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0)
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.1 > 0 else {
            return TerminalSize(columns: 80, rows: 24)
        }
        return TerminalSize(columns: Int(size.1), rows: size.0 > 0 ? Int(size.0) : 24)
    }
}
