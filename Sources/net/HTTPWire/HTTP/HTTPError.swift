/// A header field to write.
public struct HTTPField: Sendable, Hashable {
    public let name: String
    public let value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// The reason to reject a request, with the contents of the error response.
public struct HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
    public let status: HTTPStatus
    /// The text for the body, `{"error":"…"}`.
    public let message: String
    /// Fields that the status requires: `Allow` with 405, `Upgrade` with 426.
    public let fields: [HTTPField]

    public init(_ status: HTTPStatus, _ sentence: String, fields: [HTTPField] = []) {
        self.status = status
        self.message = sentence
        self.fields = fields
    }

    public var description: String { self.message }

    /// The same error with the field that every 401 must have (RFC 9110 section 15.5.2).
    public var withChallenge: HTTPError {
        guard self.status == .unauthorized,
            !self.fields.contains(where: { $0.name == "WWW-Authenticate" })
        else { return self }
        return HTTPError(
            self.status, self.message,
            fields: self.fields + [HTTPField("WWW-Authenticate", "Bearer")])
    }

    public static func badRequest(_ sentence: String) -> HTTPError {
        HTTPError(.badRequest, sentence)
    }

    public static let notFound = HTTPError(.notFound, "There is nothing at this path.")
    public static let requestTimeout = HTTPError(
        .requestTimeout, "The request did not come in time.")
    public static let serviceUnavailable = HTTPError(
        .serviceUnavailable, "The service cannot take requests at the moment.")
    public static let internalServerError = HTTPError(
        .internalServerError, "Something went wrong inside the service.")

    /// - Parameter allowed: the methods of this path, in capitals.
    public static func methodNotAllowed(_ allowed: String...) -> HTTPError {
        self.methodNotAllowed(list: allowed)
    }

    /// - Parameter allowed: the methods of this path.
    public static func methodNotAllowed(_ allowed: [HTTPMethod]) -> HTTPError {
        self.methodNotAllowed(list: allowed.map(\.name))
    }

    private static func methodNotAllowed(list allowed: [String]) -> HTTPError {
        let list = allowed.joined(separator: ", ")
        return HTTPError(
            .methodNotAllowed, "Allowed methods of this path: \(list).",
            fields: [HTTPField("Allow", list)])
    }

    public static func contentTooLarge(limit: Int) -> HTTPError {
        HTTPError(.contentTooLarge, "The body has more than \(limit) bytes.")
    }

    public static func unsupportedMediaType(expected: String) -> HTTPError {
        HTTPError(.unsupportedMediaType, "The Content-Type must be \(expected).")
    }
}
