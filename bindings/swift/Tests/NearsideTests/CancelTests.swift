import Foundation
import NearsideKit
import Testing

extension Scenarios {
    /// Every way to cancel an answer, and the state afterwards.
    @Suite struct CancelTests {
        @Test func cancelDuringPrefill() async throws {
            let nearside = try libraryWithLargeContext()
            var pause = 1_000_000_000 as UInt64
            var number = 0
            var times: [Double] = []
            while times.count < 20 {
                let stream = try nearside.startChat(request: longQuestion(number))
                number += 1
                #expect(try await stream.nextBatch().first?.isStarted == true)
                try await Task.sleep(nanoseconds: pause)
                let cancelled = DispatchTime.now().uptimeNanoseconds
                stream.cancel()
                let rest = try await stream.rest()
                let milliseconds = Double(DispatchTime.now().uptimeNanoseconds - cancelled) / 1e6
                if rest.count == 1 {
                    #expect(rest.done?.stop == .cancelled)
                    times.append(milliseconds)
                } else {
                    // The prefill finished before the cancel: cancel earlier.
                    pause /= 2
                }
            }
            times.sort()
            let (median, most) = (String(format: "%.1f", times[10]), String(format: "%.1f", times[19]))
            print("cancel during prefill: done after \(median) ms (median of 20, \(most) at most)")
            try await expectAnswersAtOnce(nearside)
        }

        @Test func cancelDuringDecoding() async throws {
            let nearside = try libraryWithLargeContext()
            let stream = try nearside.startChat(request: greedy(.user("Count from one to a thousand, in words.")))
            var before: [Chunk] = []
            while before.filter(\.isText).count < 5 { before += try await stream.nextBatch() }
            stream.cancel()
            stream.cancel()
            let rest = try await stream.rest()
            let done = try #require(rest.done)

            #expect(done.stop == .cancelled)
            #expect(done.usage.completionTokens >= 5)
            #expect(try await stream.nextBatch().isEmpty, "no chunk follows `done`")
            try await expectAnswersAtOnce(nearside)
        }

        @Test func breakingOutOfTheLoopCancels() async throws {
            let nearside = try libraryWithLargeContext()
            for number in 101...102 {
                for try await chunk in nearside.chat(longQuestion(number)) {
                    #expect(chunk.isStarted)
                    break
                }
                #expect(try await nearside.chat(longQuestion(-number)).prefix(1).all().count == 1)
            }
            for number in 103...104 {
                await #expect(throws: CancellationError.self) {
                    for try await _ in nearside.chat(longQuestion(number)) { throw CancellationError() }
                }
            }
            try await expectAnswersAtOnce(nearside)
        }

        @Test func cancelledTaskStopsTheRequest() async throws {
            let nearside = try libraryWithLargeContext()
            for number in 201...206 {
                let (started, signal) = AsyncStream<Void>.makeStream()
                let task = Task {
                    var chunks: [Chunk] = []
                    for try await chunk in nearside.chat(longQuestion(number)) {
                        chunks.append(chunk)
                        signal.finish()
                    }
                    return chunks
                }
                for await _ in started {}
                task.cancel()
                #expect(try await task.value.done?.stop == .cancelled)
            }
            try await expectAnswersAtOnce(nearside)
        }

        @Test func closingTheObjectWhileStreaming() async throws {
            var nearside: Nearside? = try libraryWithLargeContext()
            let question = greedy(.user("Count from one to a thousand, in words."))
            let stream = try #require(try nearside?.startChat(request: question))
            while try await !stream.nextBatch().contains(where: \.isText) {}
            nearside = nil

            #expect(try await stream.rest().done != nil, "the answer still ends in order")
        }

        /// Opens a library with a context for long prompts.
        private func libraryWithLargeContext() throws -> Nearside {
            try Nearside(config: Config(directory: freshDirectory(), context: 8192))
        }

        /// Checks that no cancelled prefill still occupies the engine: waiting for one would take much longer.
        private func expectAnswersAtOnce(_ nearside: Nearside) async throws {
            let asked = Date()
            let chunks = try await nearside.chat(greedy(.user("Hello!"), maxTokens: 1)).all()
            #expect(chunks.done?.stop == .maxTokens)
            #expect(Date().timeIntervalSince(asked) < 10)
        }
    }
}
