// A hub on the loopback interface with the protocol of Hugging Face: an app's tests download, resume and verify for real,
// without network access. And a model of one megabyte, which loads and answers in milliseconds.

import Foundation
@_exported @_spi(Testing) import NearsideKit

/// A hub that serves files of a test until this object is released.
///
///     let hub = try LocalHub([.init(repo: "org/tiny", name: "tiny.gguf", bytes: TinyModel.bytes())])
///     let nearside = try Nearside(config: Config(directory: directory.path, hub: hub.url))
///     for try await _ in nearside.download(try ModelRef.parse("hf:org/tiny/tiny.gguf")) {}
public final class LocalHub: Sendable {
    private let hub: TestHub
    /// The address for `Config.hub`.
    public let url: String

    /// A file of a repository.
    public struct File: Sendable {
        /// `ORG/NAME`, as in a reference `hf:ORG/NAME`.
        public let repo: String
        public let name: String
        public let bytes: Data

        public init(repo: String, name: String, bytes: Data) {
            self.repo = repo
            self.name = name
            self.bytes = bytes
        }
    }

    /// A fault. Those of the next file or request happen once.
    public enum Fault: Sendable {
        /// The connection of the next file ends after this many bytes.
        case cutAfter(bytes: UInt64)
        /// The next file stops after this many bytes, and its connection stays open.
        case stallAfter(bytes: UInt64)
        /// Every file has this byte inverted, so that its hash is wrong.
        case wrongByteAt(UInt64)
        /// The next file is a web page, as behind the sign-in of a network.
        case webPage
        /// The next request is refused with this HTTP status.
        case refuse(status: Int)
    }

    /// Serves these files. With a rate, each connection sends as many bytes per second.
    public init(_ files: [File], bytesPerSecond: UInt64? = nil) throws {
        hub = try .start(
            files: files.map { TestHubFile(repo: $0.repo, name: $0.name, bytes: $0.bytes) },
            bytesPerSecond: bytesPerSecond)
        url = try hub.url()
    }

    /// Adds a fault.
    public func add(_ fault: Fault) throws {
        let added: TestHubFault =
            switch fault {
            case .cutAfter(let bytes): .cutAfter(bytes: bytes)
            case .stallAfter(let bytes): .stallAfter(bytes: bytes)
            case .wrongByteAt(let byte): .wrongByteAt(byte: byte)
            case .webPage: .webPage
            case .refuse(let status): .refuse(status: UInt16(clamping: status))
            }
        try hub.addFault(fault: added)
    }

    /// Removes all faults.
    public func clearFaults() throws {
        try hub.clearFaults()
    }

    /// The bytes of files sent so far: a resumed download sends only the rest.
    public var bytesSent: UInt64 {
        // A sum in memory: the call fails only by a bug of the library.
        (try? hub.bytesSent()) ?? 0
    }
}

/// A GGUF file of about one megabyte with random weights. It really runs: load, cancel, memory and tokens are those of
/// llama.cpp. What it writes is noise, the same for the same prompt and seed.
public enum TinyModel {
    /// Returns the file's bytes.
    public static func bytes() throws -> Data {
        try tinyModel()
    }

    /// Writes the file, for `importModel` or as an installed one.
    public static func write(to file: URL) throws {
        try bytes().write(to: file)
    }
}
