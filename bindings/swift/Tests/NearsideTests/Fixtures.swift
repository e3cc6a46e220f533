// Fixtures of the scenarios: the real model, a local hub, the command line to compare with, and stream helpers;
// ProviderFixtures.swift has the providers. Kotlin's scenarios have the same names; a Rust test compares them.

import Foundation
@_spi(Testing) import NearsideKit
import Testing

/// All scenarios. Serialized, because several measure times on a small machine.
@Suite(.serialized, .timeLimit(.minutes(5)))
enum Scenarios {}

/// SmolLM2-135M-Instruct, Q4_1.
let smollm2: String = {
    let environment = ProcessInfo.processInfo.environment
    let models = environment["NEARSIDE_MODELS"] ?? "\(environment["HOME"] ?? "")/.cache/nearside/models"
    let file = "\(models)/smollm2.gguf"
    precondition(FileManager.default.isReadableFile(atPath: file), "no model at \(file); `make models` fetches it")
    return file
}()
let smollm2Bytes: UInt64 = 98_362_432
let smollm2SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

/// Returns the path of an unused directory, deleted when the tests end.
func freshDirectory() -> String {
    scratch.appendingPathComponent(UUID().uuidString).path
}

private let scratch: URL = {
    atexit { try? FileManager.default.removeItem(at: scratch) }
    return FileManager.default.temporaryDirectory.appendingPathComponent("nearside-\(UUID().uuidString)")
}()

/// Opens a library whose `chat` plays these steps.
func scripted(_ steps: ReplyStep..., delayMs: UInt32 = 0) throws -> Nearside {
    try Nearside.scripted(
        config: Config(directory: freshDirectory()), script: ScriptedReply(steps: steps, chunkDelayMs: delayMs))
}

/// Returns a deterministic request to the real model.
func greedy(_ messages: ChatMessage..., maxTokens: UInt32? = nil) -> ChatRequest {
    ChatRequest(
        messages: messages, model: smollm2, sampling: SamplingOptions(temperature: 0, seed: 1),
        limits: RequestLimits(maxTokens: maxTokens))
}

/// Returns a request of about 6,000 tokens, whose prefill takes seconds. Each number has its own uncached prompt.
func longQuestion(_ number: Int) -> ChatRequest {
    let story = String(repeating: "The quick brown fox jumps over the lazy dog. ", count: 600)
    return greedy(.user("Story \(number). \(story)Sum it up."))
}

extension AsyncSequence {
    /// Returns all elements.
    func all() async throws -> [Element] {
        try await reduce(into: []) { $0.append($1) }
    }

    /// Returns the elements before the error, and the error.
    func untilFailure() async -> ([Element], (any Error)?) {
        var items: [Element] = []
        do {
            for try await item in self { items.append(item) }
            return (items, nil)
        } catch {
            return (items, error)
        }
    }
}

/// Returns kind, reason and text of the error that the call throws.
func failure(of call: () async throws -> Void) async -> (kind: ErrorKind?, reason: ErrorReason?, text: String) {
    do {
        try await call()
        Issue.record("no error at all")
        return (nil, nil, "")
    } catch {
        let known = error as? NearsideError
        return (known?.kind, known?.reason, "\(error)")
    }
}

extension ChatStream {
    /// Returns all remaining chunks.
    func rest() async throws -> [Chunk] {
        var chunks: [Chunk] = []
        while case let batch = try await nextBatch(), !batch.isEmpty { chunks += batch }
        return chunks
    }
}

extension Sequence<Chunk> {
    /// The answer without the reasoning.
    var text: String {
        reduce(into: "") { if case .text(let text) = $1 { $0 += text } }
    }

    /// The reasoning without the answer.
    var reasoning: String {
        reduce(into: "") { if case .reasoning(let text) = $1 { $0 += text } }
    }
}

extension [Chunk] {
    /// The summary of the final `Chunk.done`, if there is one.
    var done: AnswerSummary? { if case .done(let summary) = last { summary } else { nil } }
}

extension Chunk {
    var isStarted: Bool { if case .started = self { true } else { false } }
    var isText: Bool { if case .text = self { true } else { false } }
    var route: Route? { if case .started(let route) = self { route } else { nil } }
}

/// Runs `nearside chat` and returns its answer: the same request through Rust alone.
func answerOfTheCommandLine(_ question: String, maxTokens: UInt32) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = program("nearside")
    process.arguments = [
        "chat", smollm2, "-p", question, "--temperature", "0", "--seed", "1", "--max-tokens", "\(maxTokens)",
        "--data-dir", freshDirectory(), "--json",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    try process.run()
    let lines = output.fileHandleForReading.readDataToEndOfFile().split(separator: UInt8(ascii: "\n"))
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return try lines.map { try object(Data($0)) }
        .filter { $0["type"] as? String == "text" }
        .reduce(into: "") { $0 += $1["text"] as? String ?? "" }
}

/// A local hub with Hugging Face's protocol that serves SmolLM2 until this object is released.
final class Hub {
    static let repository = "scenarios/SmolLM2-GGUF"
    static var model: ModelRef { get throws { try ModelRef.parse("hf:\(repository)/smollm2.gguf") } }

    /// Its base address.
    let url: String
    private let process = Process()
    private let input = Pipe()

    init(_ options: String...) throws {
        let output = Pipe()
        process.executableURL = program("nearside-hub")
        process.arguments = ["--repo", Self.repository, "--file", smollm2] + options
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8) { line += byte }
        url = try #require(try object(line)["url"] as? String)
    }

    deinit {
        // The hub exits when its standard input closes.
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

func program(_ name: String) -> URL {
    URL(fileURLWithPath: ProcessInfo.processInfo.environment["NEARSIDE_PROGRAMS"] ?? "").appendingPathComponent(name)
}

func object(_ json: Data) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
}
