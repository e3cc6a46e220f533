// Measures the time from a cancel to the end of the answer: in the queue, while the model loads, in the prefill, while it
// decodes. Phases, questions and moments are those of `nearside-cancel`, which measures the same from Rust.
//
// The app cancels the task whose loop reads the answer. The end is that of the task: its loop has received `Chunk.done` with
// `StopReason.cancelled`, which the engine sends when it is free for the next answer.
//
// Only the cancelled answer may end. In the queue, another one runs before it. In a tenth as many further rounds, which are
// not timed, another one waits behind it, in each phase. They must reach their last token; `others_whole` is their number.

import Foundation
import NearsideTesting

func measureCancelPhases(_ model: String, cancels: Int) async throws {
    try await withLibrary(context: 8192) { nearside in
        for phase in CancelPhase.allCases {
            var rounds = CancelRounds(nearside: nearside, model: model, phase: phase)
            try await rounds.measure(cancels)
        }
    }
}

private struct CancelReport: Encodable {
    let measured = "swift cancel-phases"
    let phase: String
    let cancels: Int
    let p50Ms: Double
    let p99Ms: Double
    let maxMs: Double
    let othersWhole: Int
}

/// What the engine does for the answer when it is cancelled.
private enum CancelPhase: String, CaseIterable {
    case queue, load, prefill, decode
}

private struct CancelRounds {
    let nearside: Nearside
    let model: String
    let phase: CancelPhase
    private var load = Duration.zero
    private var prompts = 0
    private var othersWhole = 0

    init(nearside: Nearside, model: String, phase: CancelPhase) {
        self.nearside = nearside
        self.model = model
        self.phase = phase
    }

    mutating func measure(_ cancels: Int) async throws {
        load = try await timeLoad()
        var times: [Double] = []
        for round in 0..<cancels {
            times.append(try await cancelOne(at: Double(round) / Double(cancels), isAlone: true).milliseconds)
        }
        let further = cancels / 10
        for round in 0..<further {
            _ = try await cancelOne(at: Double(round) / Double(further), isAlone: false)
        }
        times.sort()
        let quantile = { (share: Double) in times[Int((Double(times.count - 1) * share).rounded())] }
        try report(
            CancelReport(
                phase: phase.rawValue, cancels: cancels, p50Ms: quantile(0.5), p99Ms: quantile(0.99),
                maxMs: quantile(1), othersWhole: othersWhole))
    }

    /// Loads the model, and returns the time from a request to its first text.
    private func timeLoad() async throws -> Duration {
        try await nearside.unload()
        let asked = ContinuousClock.now
        for try await chunk in nearside.chat(request(longQuestion)) {
            if case .text = chunk { break }
        }
        return ContinuousClock.now - asked
    }

    /// Cancels an answer at a moment of the phase, from 0 to 1, and returns the time to its end.
    private mutating func cancelOne(at moment: Double, isAlone: Bool) async throws -> Duration {
        if phase == .load { try await nearside.unload() }
        let running = phase == .queue ? startOther() : nil
        try await running?.waitForText()
        let answer = RunningAnswer(nearside.chat(request(question())))
        if phase == .decode { try await answer.waitForText() } else { try await answer.waitForStart() }
        let waiting = isAlone ? nil : startOther()
        try await Task.sleep(for: pause(moment))

        let cancelled = ContinuousClock.now
        answer.task.cancel()
        let stop = try await answer.task.value.summary.stop
        let ended = ContinuousClock.now

        guard stop == .cancelled else { throw BenchError.endedEarly }
        if let running, try await running.task.value.at < ended { throw BenchError.notQueued }
        for other in [running, waiting].compactMap({ $0 }) { try checkWhole(await other.task.value.summary) }
        return ended - cancelled
    }

    private mutating func question() -> String {
        switch phase {
        case .queue: return "Hello"
        case .load, .decode: return longQuestion
        // Thousands of tokens, and another beginning each time: nothing of it is in the cache.
        case .prefill:
            prompts += 1
            return (0..<450).map { "item \($0) of \(prompts) is here; " }.joined()
        }
    }

    /// Spreads the moments over the load, over a part of the prefill, and over a token or two.
    private func pause(_ moment: Double) -> Duration {
        switch phase {
        case .queue: .milliseconds(2)
        case .load: load * (0.8 * moment)
        case .prefill: .milliseconds(20 + 100 * moment)
        case .decode: .milliseconds(20 * moment)
        }
    }

    private func startOther() -> RunningAnswer {
        RunningAnswer(nearside.chat(request(longQuestion, RequestLimits(maxTokens: otherTokens))))
    }

    private mutating func checkWhole(_ summary: AnswerSummary) throws {
        guard summary.stop == .maxTokens, summary.usage.completionTokens == otherTokens else {
            throw BenchError.brokenOff(summary.stop, tokens: summary.usage.completionTokens)
        }
        othersWhole += 1
    }

    private func request(_ text: String, _ limits: RequestLimits = RequestLimits()) -> ChatRequest {
        ChatRequest(
            messages: [.user(text)], model: model, sampling: SamplingOptions(temperature: 0), limits: limits)
    }
}

/// A task whose loop reads an answer.
private struct RunningAnswer {
    /// Returns the end, and when the loop received it.
    let task: Task<(summary: AnswerSummary, at: ContinuousClock.Instant), any Error>
    private let started: AsyncStream<Void>
    private let text: AsyncStream<Void>

    init(_ chunks: ChatChunks) {
        let (started, start) = AsyncStream<Void>.makeStream()
        let (text, firstText) = AsyncStream<Void>.makeStream()
        (self.started, self.text) = (started, text)
        task = Task {
            // Also if it fails.
            defer {
                start.finish()
                firstText.finish()
            }
            var end: AnswerSummary?
            for try await chunk in chunks {
                switch chunk {
                case .started: start.finish()
                case .text: firstText.finish()
                case .done(let summary): end = summary
                default: break
                }
            }
            guard let end else { throw BenchError.endedEarly }
            return (end, .now)
        }
    }

    func waitForStart() async throws {
        for await _ in started {}
    }

    func waitForText() async throws {
        for await _ in text {}
    }
}

private let longQuestion = "Tell a long story about the sea."
private let otherTokens: UInt32 = 12
