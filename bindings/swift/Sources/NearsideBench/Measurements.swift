// The measurements that main.swift starts.

import Foundation
import NearsideTesting

#if NEARSIDE_TESTING
    /// Measures the time per chunk of a script with `count` words. Prints the fastest and the median of five runs.
    func measureChunks(_ count: Int) async throws {
        let text = String(repeating: "word ", count: count)
        let nearside = try Nearside.scripted([.text(text)])
        let request = ChatRequest(messages: [.user("Talk.")])
        var nanoseconds: [Double] = []
        for _ in 0..<6 {
            var texts = 0
            let start = DispatchTime.now().uptimeNanoseconds
            for try await chunk in nearside.chat(request) {
                if case .text = chunk { texts += 1 }
            }
            let took = DispatchTime.now().uptimeNanoseconds - start
            guard texts == count else { throw BenchError.lost(expected: count, received: texts) }
            nanoseconds.append(Double(took) / Double(count))
        }
        nanoseconds.removeFirst()
        nanoseconds.sort()
        print(
            #"{"bench":"chunks","language":"swift","chunks":\#(count),"ns_per_chunk":\#(nanoseconds[0].short),"#
                + #""ns_per_chunk_median":\#(nanoseconds[2].short)}"#)
    }

    /// Cancels the tasks of `count` streams, each after a random number of chunks or microseconds. Half of the streams
    /// are stalled, half are sending text.
    func measureCancelling(_ count: Int) async throws {
        let paced = try Nearside.scripted(
            [.text(String(repeating: "word ", count: 400))], pause: .milliseconds(1))
        let stalled = try Nearside.scripted([.text("well "), .stall])
        let request = ChatRequest(messages: [.user("Talk.")])
        var random = LinearGenerator(seed: 1)
        // Warm-up: the first streams allocate resources that stay.
        for _ in 0..<50 { try await endsCancelled(paced, request, after: .chunks(2)) }
        let before = try ProcessUsage.now
        var unfinished = 0
        for number in 0..<count {
            let point: CancelPoint =
                random.below(2) == 0 ? .chunks(random.below(20)) : .microseconds(random.below(5_000))
            if try await !endsCancelled(number.isMultiple(of: 2) ? paced : stalled, request, after: point) {
                unfinished += 1
            }
        }
        let after = try await ProcessUsage.afterCleanup(to: before)
        print(
            #"{"bench":"cancel","language":"swift","streams":\#(count),"not_cancelled":\#(unfinished),"#
                + #""threads_before":\#(before.threads),"threads_after":\#(after.threads),"#
                + #""objects_before":\#(before.objects),"objects_after":\#(after.objects),"#
                + #""rss_kb_before":\#(before.residentKB),"rss_kb_after":\#(after.residentKB)}"#)
    }

    private enum CancelPoint {
        case chunks(Int)
        case microseconds(Int)
    }

    /// Runs a request, cancels it at this point, and returns whether the answer ended as cancelled.
    @discardableResult
    private func endsCancelled(
        _ nearside: Nearside, _ request: ChatRequest, after point: CancelPoint
    ) async throws -> Bool {
        let task = Task {
            var last: Chunk?
            var seen = 0
            for try await chunk in nearside.chat(request) {
                last = chunk
                if case .chunks(let enough) = point, seen >= enough { withUnsafeCurrentTask { $0?.cancel() } }
                // A stalled script sends two chunks and then none until it is cancelled.
                if case .chunks = point, case .text("well ") = chunk { withUnsafeCurrentTask { $0?.cancel() } }
                seen += 1
            }
            return last
        }
        if case .microseconds(let pause) = point {
            try await Task.sleep(for: .microseconds(pause))
            task.cancel()
        }
        // A task cancelled before its first request receives no chunk.
        guard let last = try await task.value else { return true }
        if case .done(let summary) = last { return summary.stop == .cancelled }
        return false
    }

    /// Measures the decoding rate of a real model, with a different prompt per answer, beside the engine's own rate.
    func measureDecoding(_ model: String, answers: Int) async throws {
        let directory = URL.temporaryDirectory.appending(component: "nearside-bench-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let nearside = try Nearside(directory: directory)
        var (tokens, seconds, engineSeconds) = (0, 0.0, 0.0)
        for number in 0...answers {
            let request = ChatRequest(
                messages: [.user("Tell a long story about the number \(number).")], model: model,
                sampling: SamplingOptions(temperature: 0, seed: 1), limits: RequestLimits(maxTokens: 128))
            var first: UInt64?
            var last: UInt64 = 0
            for try await chunk in nearside.chat(request) {
                switch chunk {
                case .text, .reasoning:
                    last = DispatchTime.now().uptimeNanoseconds
                    first = first ?? last
                // The first answer loads the model.
                case .done(let summary) where number > 0:
                    let decoded = Int(summary.usage.completionTokens) - 1
                    guard let first, decoded > 0, summary.timings.tokensPerSecond > 0 else { throw BenchError.noAnswer }
                    tokens += decoded
                    seconds += Double(last - first) / 1e9
                    engineSeconds += Double(decoded) / summary.timings.tokensPerSecond
                default: break
                }
            }
        }
        let (here, engine) = (Double(tokens) / seconds, Double(tokens) / engineSeconds)
        print(
            #"{"bench":"decode","language":"swift","answers":\#(answers),"tokens":\#(tokens),"#
                + #""tokens_per_second":\#(here.short),"engine_tokens_per_second":\#(engine.short),"#
                + #""ratio":\#(String(format: "%.4f", here / engine))}"#)
    }

    enum BenchError: Error, CustomStringConvertible {
        case lost(expected: Int, received: Int)
        case noAnswer

        var description: String {
            switch self {
            case .lost(let expected, let received): "received \(received) of \(expected) chunks"
            case .noAnswer: "the answer is too short to measure"
            }
        }
    }

    extension Double {
        fileprivate var short: String { String(format: "%.1f", self) }
    }

    /// A linear congruential generator: the same numbers in every run.
    private struct LinearGenerator {
        private var state: UInt64

        init(seed: UInt64) {
            state = seed
        }

        mutating func below(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
    }
#endif
