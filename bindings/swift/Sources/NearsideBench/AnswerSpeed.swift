// Measures how fast a real model answers an app, by Swift's clock on the chunks of the AsyncSequence.
//
// - Prefill: tokens of the prompt per second, from the request to the first chunk of the answer. So it includes the route,
//   the template, tokenizing, and sampling the first token. The prompt has 512 tokens behind the beginning that the
//   template puts before every prompt, which is in the cache, and which does not count.
// - Decoding: tokens after the first one per second, from the first text to the last one, of an answer of 129 tokens
//   behind a short prompt. So it includes sampling, parsing and every step between the engine and the loop.
//
// The line has the names of `nearside bench --json`, so that scripts/bench.py compares it with llama-bench, and beside
// each rate the one that the library reports.

import Foundation
import NearsideTesting

private struct SpeedReport: Encodable {
    let measured = "swift speed"
    let threads: UInt32
    let prompt: MeasuredRates
    let generate: MeasuredRates
}

private struct MeasuredRates: Encodable {
    let tokens: Int
    /// As the loop sees them.
    let tokensPerSecond: [Double]
    /// As the library reports them.
    let reportedTokensPerSecond: [Double]

    init(_ rates: [MeasuredRate]) {
        tokens = rates[0].tokens
        tokensPerSecond = rates.map { Double($0.tokens) / $0.time.seconds }
        reportedTokensPerSecond = rates.map(\.reported)
    }
}

func measureSpeed(_ model: String, answers: Int) async throws {
    try await withLibrary { nearside in
        var rounds = SpeedRounds(nearside: nearside, model: model)
        // The first answers load the model, warm up, and adjust the prompt: to the template, then to the cached part.
        for _ in 0..<2 { try await rounds.adjust() }
        _ = try await rounds.decode()
        var (prompts, decoded): ([MeasuredRate], [MeasuredRate]) = ([], [])
        for _ in 0..<answers {
            prompts.append(try await rounds.prefill())
            decoded.append(try await rounds.decode())
        }
        let threads = try nearside.loaded()[0].threads
        try report(
            SpeedReport(threads: threads, prompt: MeasuredRates(prompts), generate: MeasuredRates(decoded)))
    }
}

private struct MeasuredRate {
    let tokens: Int
    let time: Duration
    let reported: Double
}

private struct SpeedRounds {
    let nearside: Nearside
    let model: String
    // Another one for each prompt, so that none continues an earlier one, which the library may have kept.
    var letters = "abcdefghijklmnopqrstuvwxyz".makeIterator()
    var promptWords = promptTokens

    mutating func adjust() async throws {
        promptWords += promptTokens - (try await prefill().tokens)
    }

    mutating func prefill() async throws -> MeasuredRate {
        guard let letter = letters.next() else { throw BenchError.endedEarly }
        let text = repeatElement(String(letter), count: promptWords).joined(separator: " ")
        let answer = try await answer(text, maxTokens: 1)
        let usage = answer.summary.usage
        return MeasuredRate(
            tokens: Int(usage.promptTokens - usage.cachedTokens), time: answer.first,
            reported: answer.summary.timings.promptTokensPerSecond)
    }

    func decode() async throws -> MeasuredRate {
        let answer = try await answer("Count from one to a hundred, in words.", maxTokens: 1 + generatedTokens)
        return MeasuredRate(
            tokens: Int(answer.summary.usage.completionTokens) - 1, time: answer.last - answer.first,
            reported: answer.summary.timings.tokensPerSecond)
    }

    private func answer(_ text: String, maxTokens: UInt32) async throws -> TimedAnswer {
        let request = ChatRequest(
            messages: [.user(text)], model: model, sampling: SamplingOptions(temperature: 0, seed: 1),
            limits: RequestLimits(maxTokens: maxTokens))
        var first: Duration?
        var last = Duration.zero
        var end: AnswerSummary?
        let asked = ContinuousClock.now
        for try await chunk in nearside.chat(request) {
            let now = ContinuousClock.now - asked
            switch chunk {
            case .started: break
            case .done(let summary):
                first = first ?? now
                end = summary
            default:
                first = first ?? now
                last = now
            }
        }
        guard let first, let end else { throw BenchError.endedEarly }
        return TimedAnswer(first: first, last: last, summary: end)
    }
}

/// An answer, and the times from the request to its first and to its last chunk before `done`.
private struct TimedAnswer {
    let first: Duration
    let last: Duration
    let summary: AnswerSummary
}

private let promptTokens = 512
private let generatedTokens: UInt32 = 128
