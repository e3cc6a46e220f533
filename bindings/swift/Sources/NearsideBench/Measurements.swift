// The measurements themselves.

import Foundation
import NearsideTesting

#if NEARSIDE_TESTING
    /// A script of that many words, read as fast as a loop can. The fastest of five runs, after one to warm up.
    func measureChunks(_ count: Int) async throws {
        let text = String(repeating: "word ", count: count)
        let nearside = try Nearside.scripted([.text(text)])
        let request = ChatRequest(messages: [.user("Talk.")])
        var nanoseconds: [Double] = []
        for _ in 0..<6 {
            var texts = 0
            let begun = DispatchTime.now().uptimeNanoseconds
            for try await chunk in nearside.chat(request) {
                if case .text = chunk { texts += 1 }
            }
            let took = DispatchTime.now().uptimeNanoseconds - begun
            guard texts == count else { throw BenchError.lost(expected: count, came: texts) }
            nanoseconds.append(Double(took) / Double(count))
        }
        nanoseconds.removeFirst()
        nanoseconds.sort()
        print(
            #"{"bench":"chunks","language":"swift","chunks":\#(count),"ns_per_chunk":\#(nanoseconds[0].short),"#
                + #""ns_per_chunk_median":\#(nanoseconds[2].short)}"#)
    }

    /// Streams whose task is cancelled after a random number of chunks or microseconds, a few at once. Half of them are
    /// waiting at that moment, half are in the middle of the words.
    func measureCancelling(_ count: Int) async throws {
        let paced = try Nearside.scripted(
            [.text(String(repeating: "word ", count: 400))], pause: .milliseconds(1))
        let stalled = try Nearside.scripted([.text("well "), .stall])
        let request = ChatRequest(messages: [.user("Talk.")])
        var random = Linear(seed: 1)
        // What the first streams set up stays for the others.
        for _ in 0..<50 { try await cancelled(paced, request, after: .chunks(2)) }
        let before = try Standing.now
        var unfinished = 0
        for number in 0..<count {
            let moment: Moment =
                random.below(2) == 0 ? .chunks(random.below(20)) : .microseconds(random.below(5_000))
            if try await !cancelled(number.isMultiple(of: 2) ? paced : stalled, request, after: moment) {
                unfinished += 1
            }
        }
        let after = try await Standing.settled(to: before)
        print(
            #"{"bench":"cancel","language":"swift","streams":\#(count),"not_cancelled":\#(unfinished),"#
                + #""threads_before":\#(before.threads),"threads_after":\#(after.threads),"#
                + #""objects_before":\#(before.objects),"objects_after":\#(after.objects),"#
                + #""rss_kb_before":\#(before.residentKB),"rss_kb_after":\#(after.residentKB)}"#)
    }

    private enum Moment {
        case chunks(Int)
        case microseconds(Int)
    }

    /// Whether the answer ended as cancelled.
    @discardableResult
    private func cancelled(_ nearside: Nearside, _ request: ChatRequest, after moment: Moment) async throws -> Bool {
        let task = Task {
            var last: Chunk?
            var seen = 0
            for try await chunk in nearside.chat(request) {
                last = chunk
                if case .chunks(let enough) = moment, seen >= enough { withUnsafeCurrentTask { $0?.cancel() } }
                // A stalled script says two things and then nothing until it is cancelled.
                if case .chunks = moment, case .text("well ") = chunk { withUnsafeCurrentTask { $0?.cancel() } }
                seen += 1
            }
            return last
        }
        if case .microseconds(let pause) = moment {
            try await Task.sleep(for: .microseconds(pause))
            task.cancel()
        }
        // A task that was cancelled before it asked gets no chunk at all.
        guard let last = try await task.value else { return true }
        if case .done(.cancelled, _, _, _) = last { return true }
        return false
    }

    /// Answers of a real model, each to a prompt of its own. The engine's own rate is what it told with the last chunk.
    func measureDecoding(_ model: String, answers: Int) async throws {
        let directory = URL.temporaryDirectory.appending(component: "nearside-bench-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let nearside = try Nearside(directory: directory)
        var (tokens, seconds, engineSeconds) = (0, 0.0, 0.0)
        for number in 0...answers {
            let request = ChatRequest(
                messages: [.user("Tell a long story about the number \(number).")], model: model,
                sampling: Sampling(temperature: 0, seed: 1), limits: Limits(maxTokens: 128))
            var first: UInt64?
            var last: UInt64 = 0
            for try await chunk in nearside.chat(request) {
                switch chunk {
                case .text, .reasoning:
                    last = DispatchTime.now().uptimeNanoseconds
                    first = first ?? last
                // The first answer loads the model.
                case .done(_, let usage, let timings, _) where number > 0:
                    let decoded = Int(usage.completionTokens) - 1
                    guard let first, decoded > 0, timings.tokensPerSecond > 0 else { throw BenchError.noAnswer }
                    tokens += decoded
                    seconds += Double(last - first) / 1e9
                    engineSeconds += Double(decoded) / timings.tokensPerSecond
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
        case lost(expected: Int, came: Int)
        case noAnswer

        var description: String {
            switch self {
            case .lost(let expected, let came): "\(came) of \(expected) chunks came"
            case .noAnswer: "the model said too little to measure"
            }
        }
    }

    extension Double {
        fileprivate var short: String { String(format: "%.1f", self) }
    }

    /// The same moments in every run.
    private struct Linear {
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
