import Bytes
import Foundation
import TLS
import TestKit
import TestTraits
import Testing

@Suite("A TLS context", .programs, .ownThread)
struct TLSContextTests {
    private let certificates: TestCertificates

    init() throws {
        self.certificates = try TestCertificates()
    }

    private func errorText(_ certificate: String, _ key: String) -> String? {
        let error = #expect(throws: TLSError.self) {
            try TLSContext(
                serverCertificate: self.certificates.path(certificate),
                key: self.certificates.path(key))
        }
        return error?.description.replacing(self.certificates.folder + "/", with: "")
    }

    @Test("knows when its certificate expires")
    func expiry() throws {
        let context = try TLSContext(
            serverCertificate: self.certificates.certificate, key: self.certificates.key)
        let expiry = try #require(context.certificateExpiry)
        let hours = Double(expiry.seconds) / 3600 - Date().timeIntervalSince1970 / 3600
        #expect((47...48.1).contains(hours))
        #expect(
            try TLSContext(clientTrusting: self.certificates.authority).certificateExpiry == nil)
    }

    @Test("needs the key of its certificate")
    func mismatch() throws {
        #expect(
            self.errorText("server.pem", "authority.key")
                == """
                The private key in authority.key does not belong to the certificate in \
                server.pem.
                """
        )
        try self.certificates.openssl(["genrsa", "-out", "rsa.key", "2048"])
        #expect(
            self.errorText("server.pem", "rsa.key")
                == "The private key in rsa.key does not belong to the certificate in server.pem.")
    }

    @Test("names the file that is missing or of the wrong kind")
    func badFiles() {
        #expect(
            self.errorText("none.pem", "server.key")
                == "none.pem cannot be used: it cannot be read (No such file or directory).")
        #expect(
            self.errorText("server.pem", "none.key")
                == "none.key cannot be used: it cannot be read (No such file or directory).")
        #expect(
            self.errorText("server.key", "server.key")
                == """
                server.key cannot be used: it contains no usable PEM certificate (no start \
                line).
                """
        )
        #expect(
            self.errorText("server.pem", "server.pem")?.hasPrefix(
                "server.pem cannot be used: it contains no usable PEM private key") == true
        )
    }

    @Test("never asks for a passphrase")
    func encryptedKey() throws {
        let expected =
            "locked.key cannot be used: it is encrypted; give the key without a passphrase."
        try self.certificates.openssl([
            "pkcs8", "-topk8", "-in", "server.key", "-out", "locked.key", "-passout", "pass:secret",
        ])
        #expect(self.errorText("server.pem", "locked.key") == expected)
        try self.certificates.openssl([
            "ec", "-in", "server.key", "-out", "locked.key", "-aes256", "-passout", "pass:secret",
        ])
        #expect(self.errorText("server.pem", "locked.key") == expected)
    }

    @Test("of a client needs a readable authority file")
    func authorities() {
        func sentence(_ name: String) -> String? {
            let error = #expect(throws: TLSError.self) {
                try TLSContext(clientTrusting: self.certificates.path(name))
            }
            return error?.description.replacing(self.certificates.folder + "/", with: "")
        }
        #expect(
            sentence("none.pem")
                == "none.pem cannot be used: it cannot be read (No such file or directory).")
        #expect(
            sentence("server.key")?.hasPrefix(
                "server.key cannot be used: it contains no PEM certificates") == true)
    }
}
