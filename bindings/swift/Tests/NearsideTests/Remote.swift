// What the scenarios of providers share: providers on this machine, a library that has them set up, and a question.

import Foundation
import Nearside
import Testing

/// A provider on this machine, for as long as this object lives: it speaks this dialect in its true shapes, and answers
/// chats with these scenes in turn, of which the last one stays.
final class Provider {
    /// The key that all of them ask for.
    static let key = "sk-scenario-key"

    /// Its base address.
    let url: String
    /// What an app says to set it up, under the name of its dialect.
    let settings: ProviderSettings
    /// Its model as a target.
    let target: Target
    private let process = Process()
    private let input = Pipe()
    private let lines: AsyncStream<Data>

    init(_ dialect: String, _ scenes: String...) throws {
        let output = Pipe()
        process.executableURL = program("nearside-provider")
        process.arguments =
            ["play", "--log", "--dialect", dialect, "--key", Self.key] + scenes.flatMap { ["--scenario", $0] }
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let handle = output.fileHandleForReading
        let first = try #require(Self.line(handle))
        url = try #require(try object(first)["url"] as? String)

        let (lines, continuation) = AsyncStream<Data>.makeStream()
        self.lines = lines
        Thread.detachNewThread {
            while let line = Self.line(handle) { continuation.yield(line) }
            continuation.finish()
        }
        let (kind, model) = try #require(Self.dialects[dialect])
        settings = ProviderSettings(name: dialect, kind: kind, baseUrl: url, model: model)
        target = .remote(provider: dialect, model: model)
    }

    deinit {
        end()
    }

    /// Waits until a client leaves in the middle of an answer.
    func untilSomebodyLeaves() async throws {
        for await line in lines where try object(line)["left"] != nil { return }
        Issue.record("nobody left before the provider ended")
    }

    /// Ends it. The bodies of all chats that it was asked, in the order in which they came.
    func chats() async throws -> [String] {
        try await requests().filter { $0["method"] as? String == "POST" }
            .map { String(decoding: try JSONSerialization.data(withJSONObject: $0["body"] ?? [:]), as: UTF8.self) }
    }

    /// Ends it. All that it was asked, in the order in which it came.
    func requests() async throws -> [[String: Any]] {
        end()
        var requests: [[String: Any]] = []
        for await line in lines {
            if let asked = try object(line)["asked"] as? [String: Any] { requests.append(asked) }
        }
        return requests
    }

    /// It serves until its input closes.
    private func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    private static func line(_ handle: FileHandle) -> Data? {
        var line = Data()
        while let byte = try? handle.read(upToCount: 1), !byte.isEmpty {
            if byte == Data("\n".utf8) { return line }
            line += byte
        }
        return nil
    }

    private static let dialects: [String: (ProviderKind, String)] = [
        "openrouter": (.openRouter, "deepseek/deepseek-r1"),
        "deepseek": (.deepSeek, "deepseek-flash"),
        "groq": (.groq, "openai/gpt-oss-120b"),
        "fireworks": (.fireworks, "accounts/fireworks/models/deepseek-v4p1-flash"),
        "compatible": (.compatible, "Qwen/Qwen3-8B"),
    ]
}

/// Takes connections and answers none, for as long as this object lives.
final class Silence {
    /// Its base address.
    let url: String
    private let listener: Int32

    init() throws {
        #if canImport(Glibc)
            listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            listener = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let fd = listener
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(fd, $0, length) == 0 && listen(fd, 8) == 0 && getsockname(fd, $0, &length) == 0
            }
        }
        try #require(bound)
        url = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))/v1"
    }

    deinit {
        close(listener)
    }

    /// Waits for a connection, and holds it until it is closed.
    func connection() -> FileHandle {
        FileHandle(fileDescriptor: accept(listener, nil, nil), closeOnDealloc: true)
    }
}

/// A device that says what a scenario wants it to.
final class Anywhere: DeviceHost, @unchecked Sendable {
    private let lock = NSLock()
    private var now: HostFacts

    init(_ facts: HostFacts = HostFacts(network: .unmetered, heat: .nominal)) {
        now = facts
    }

    func facts() -> HostFacts {
        lock.withLock { now }
    }

    func set(_ network: Network) {
        lock.withLock { now.network = network }
    }
}

/// All that providers may do and cost is allowed, and nobody needs to be asked.
let openPolicy = Policy(version: "scenario-1", allowRetention: true, allowTraining: true, consent: .given)

extension Policy {
    /// This policy with something else in it.
    func with(_ change: (inout Policy) -> Void) -> Policy {
        var policy = self
        change(&policy)
        return policy
    }
}

extension ChatRequest {
    /// This request with something else in it.
    func with(_ change: (inout ChatRequest) -> Void) -> ChatRequest {
        var request = self
        change(&request)
        return request
    }
}

/// A library with these providers set up, their keys given, and nothing on the device.
func library(
    _ providers: Provider..., policy: Policy = openPolicy, config: Config? = nil, host: any DeviceHost = Anywhere()
) async throws -> Nearside {
    let config = config ?? Config(directory: freshDirectory(), context: 512)
    let nearside = try Nearside.withHost(config: config, host: host)
    try await nearside.setPolicy(policy: policy)
    for provider in providers {
        try await nearside.addProvider(settings: provider.settings)
        try nearside.setKey(provider: provider.settings.name, key: Provider.key)
    }
    return nearside
}

/// A plain question with a short answer.
func tides(_ mode: Mode = .preferOnDevice) -> ChatRequest {
    ChatRequest(
        messages: [.user("Why do the tides come twice a day?")], mode: mode, sampling: Sampling(temperature: 0),
        limits: Limits(maxTokens: 8))
}

extension [Chunk] {
    /// Everybody who began to answer, in turn.
    var places: [Target] { compactMap(\.route?.target) }
}
