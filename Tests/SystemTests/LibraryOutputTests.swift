import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

@Suite("A JSON log", .programs, .ownThread)
struct LibraryOutputTests {
    /// Writes lines as a library does: when it should speak, and before it aborts the process.
    private static let library = #"""
        #include <pthread.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        static void *run(void *unused) {
            while (access("speak", F_OK) != 0) usleep(50000);
            fprintf(stderr, "library: a \"warning\"\n");
            while (access("crash", F_OK) != 0) usleep(50000);
            fprintf(stderr, "library: the last words\n");
            abort();
        }
        __attribute__((constructor)) static void begin(void) {
            pthread_t thread;
            pthread_create(&thread, NULL, run, NULL);
        }
        """#

    @Test("contains the lines of libraries as events, also the last ones before a crash")
    func library() throws {
        let folder = try TemporaryFolder()
        try folder.write(Self.library, to: "library.c")
        let built = try run(
            Checkout.program("clang"),
            [
                "-shared", "-fPIC", "-o", folder.file("library.so"), folder.file("library.c"),
                "-lpthread",
            ])
        #expect(built.exitStatus == .exited(0), "\(built.errors)")
        // The thread sanitizer needs its library, too.
        let libraries = [
            ProcessInfo.processInfo.environment["LD_PRELOAD"], folder.file("library.so"),
        ]
        let server = try ConfabServer(
            ["--log-format", "json"],
            environment: ["LD_PRELOAD": libraries.compactMap(\.self).joined(separator: ":")])
        try server.folder.write("", to: "speak")
        try server.process.errors.line(with: #""text":"library: a \"warning\"""#)
        try server.folder.write("", to: "crash")
        #expect(try server.process.waitForExit() == .killed(signal: SIGABRT))
        let lines = try server.process.errors.wholeText().split(separator: "\n")
        for line in lines { _ = try JSONObject(String(line)) }
        #expect(lines.contains { $0.contains(#""text":"library: the last words""#) })
    }

    @Test(
        "contains the reason why a start failed",
        .long, arguments: ["--store", "--config", "--listen"])
    func fatal(option: String) throws {
        let value = ["--store": "sqlite:/no/such/folder/db", "--listen": "192.0.2.1:1"][option]
        let folder = try TemporaryFolder()
        let result = try run(
            Checkout.confab,
            ["serve", option, value ?? "/no/such/file", "--admin", "off", "--log-format", "json"],
            folder: folder.path)
        #expect(result.exitStatus != .exited(0))
        let lines = result.errors.split(separator: "\n")
        let events = try lines.map { try JSONObject(String($0)) }
        #expect(events.last?["msg"] == "fatal", "\(result.errors)")
        #expect(events.last?["reason"]?.isEmpty == false)
    }

    @Test("contains no password of Redis, while Redis is there and while it is not")
    func password() throws {
        let redis = try RedisServer(["--requirepass", "open-sesame"])
        let server = try ConfabServer([
            "--log-format", "json", "--log-level", "debug", "--store",
            "redis://:open-sesame@127.0.0.1:\(redis.port)",
        ])
        let client = try server.connect("ann")
        try client.synchronize()
        try redis.crash()
        try server.process.errors.line(with: "redis unavailable")
        try client.send(#"{"action":"send_message","content":"unsent","local_id":"1"}"#)
        try server.process.errors.line(with: "store request failed")
        #expect(!server.process.errors.text.contains("sesame"))
        #expect(!server.process.errors.text.contains("unsent"))
    }
}
