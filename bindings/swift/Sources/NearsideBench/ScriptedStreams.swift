// Measures what the Swift layer adds to a stream, with scripts instead of a model: the time of a chunk, and what stays of
// streams that were cancelled.

import Foundation
import NearsideTesting

private struct ChunksReport: Encodable {
    let measured = "swift chunks"
    let chunks: Int
    /// The fastest of five runs, and their median.
    let nsPerChunk: Double
    let nsPerChunkMedian: Double
}

func measureChunks(_ count: Int) async throws {
    let text = String(repeating: "word ", count: count)
    let nearside = try Nearside.scripted([.text(text)])
    let request = ChatRequest(messages: [.user("Talk.")])
    var nanoseconds: [Double] = []
    for _ in 0..<6 {
        var texts = 0
        let start = ContinuousClock.now
        for try await chunk in nearside.chat(request) {
            if case .text = chunk { texts += 1 }
        }
        let took = ContinuousClock.now - start
        guard texts == count else { throw BenchError.lost(expected: count, received: texts) }
        nanoseconds.append(took / .nanoseconds(count))
    }
    // The first run warms up.
    nanoseconds.removeFirst()
    nanoseconds.sort()
    try report(ChunksReport(chunks: count, nsPerChunk: nanoseconds[0], nsPerChunkMedian: nanoseconds[2]))
}

private struct CancelsReport: Encodable {
    let measured = "swift cancels"
    let streams: Int
    let notCancelled: Int
    let before: ProcessUsage
    let after: ProcessUsage
}

/// Cancels the tasks of `count` streams, each after a random number of chunks or microseconds. Half of the streams
/// are stalled, half are sending text.
func measureCancels(_ count: Int) async throws {
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
    try report(CancelsReport(streams: count, notCancelled: unfinished, before: before, after: after))
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
