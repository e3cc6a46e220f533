// Fixtures of the provider scenarios: local providers, a library configured with them, and a request.

import Foundation
import NearsideTesting
import Testing

/// A local provider process that runs until this object is released. It responds in the real format of its dialect and
/// plays one scenario per chat; the last one repeats.
final class Provider {
    /// The key that all of them require.
    static let key = "sk-scenario-key"

    /// Its base address.
    let url: String
    /// Its settings for `addProvider`, named after its dialect.
    let settings: ProviderSettings
    /// Its model as a target.
    let target: RouteTarget
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
        stop()
    }

    /// Waits until a client closes its connection during an answer.
    func waitForDisconnect() async throws {
        for await line in lines where try object(line)["left"] != nil { return }
        Issue.record("no client disconnected before the provider ended")
    }

    /// Stops the provider and returns the bodies of all chat requests, in order.
    func chats() async throws -> [String] {
        try await requests().filter { $0["method"] as? String == "POST" }
            .map { String(decoding: try JSONSerialization.data(withJSONObject: $0["body"] ?? [:]), as: UTF8.self) }
    }

    /// Stops the provider and returns all requests, in order.
    func requests() async throws -> [[String: Any]] {
        stop()
        var requests: [[String: Any]] = []
        for await line in lines {
            if let request = try object(line)["asked"] as? [String: Any] { requests.append(request) }
        }
        return requests
    }

    /// Closes the standard input, which ends the process.
    private func stop() {
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

/// A server that accepts connections and never responds.
final class SilentServer {
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

    /// Waits for a connection and returns it.
    func connection() -> FileHandle {
        FileHandle(fileDescriptor: accept(listener, nil, nil), closeOnDealloc: true)
    }
}

/// Allows retention, training and any cost, with consent given.
let openPolicy = RoutingPolicy(version: "scenario-1", allowRetention: true, allowTraining: true, consent: .given)

extension RoutingPolicy {
    /// Returns a modified copy.
    func with(_ change: (inout RoutingPolicy) -> Void) -> RoutingPolicy {
        var policy = self
        change(&policy)
        return policy
    }
}

extension ChatRequest {
    /// Returns a modified copy.
    func with(_ change: (inout ChatRequest) -> Void) -> ChatRequest {
        var request = self
        change(&request)
        return request
    }
}

/// Opens a library with these providers and their keys configured, and no model on the device.
func library(
    _ providers: Provider..., policy: RoutingPolicy = openPolicy, config: Config? = nil,
    host: any DeviceHost = FakeDeviceHost()
) async throws -> Nearside {
    let config = config ?? Config(directory: freshDirectory(), context: 512)
    let nearside = try Nearside(config: config, host: host)
    try await nearside.setPolicy(policy: policy)
    for provider in providers {
        try await nearside.addProvider(settings: provider.settings)
        try nearside.setKey(provider: provider.settings.name, key: Provider.key)
    }
    return nearside
}

/// Returns a plain request with a short answer.
func tides(_ mode: RoutingMode = .preferOnDevice) -> ChatRequest {
    ChatRequest(
        messages: [.user("Why do the tides come twice a day?")], mode: mode, sampling: SamplingOptions(temperature: 0),
        limits: RequestLimits(maxTokens: 8))
}

extension [Chunk] {
    /// The targets that started to answer, in order.
    var targets: [RouteTarget] { compactMap(\.route?.target) }
}
