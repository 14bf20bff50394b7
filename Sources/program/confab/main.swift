import Glibc
import TLS

// If a standard descriptor is closed, the next file or socket would get its number, and the output
// would be written into it.
for (descriptor, mode) in [
    (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY),
]
where fcntl(descriptor, F_GETFD) < 0 {
    _ = open("/dev/null", mode)
}

CryptoLibrary.skipCleanupAtExit()
exit(await Program.run(Array(CommandLine.arguments.dropFirst())))
