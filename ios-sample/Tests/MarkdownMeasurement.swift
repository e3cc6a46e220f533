// The time of one chunk of an answer in the chat model, from its delivery to the parsed blocks. As a test it asserts the
// result; `scripts/ios-sample.sh markdown` prints the times.

import Foundation
import Testing

@testable import NearsideSample

@MainActor @Suite(.serialized, .timeLimit(.minutes(5)))
struct MarkdownMeasurement {
    nonisolated private static let prose = """
        ## Why twice a day?

        The moon pulls **unevenly**: more on the near side, less on the far one. The sea has *two* bulges, and the land
        turns below both, so that `high water` comes twice. More in [an article](https://example.org/tides).

        1. The near bulge
           - follows the moon
        2. The far bulge

        ```swift
        let period = 12.0 * 3600 + 25 * 60
        ```

        | place | height |
        |---|---|
        | open sea | 0.5 m |
        | a bay | up to **15 m** |


        """

    nonisolated private static let patterns = [
        "prose": prose, "one paragraph": "The sea is **wide** and `deep` and *old*, they say. ",
        "open code": "`let a = b * c ", "one list": "- one **two** three\n",
    ]

    @Test(arguments: patterns.keys.sorted())
    func eachChunkIsParsedOnce(_ name: String) async throws {
        let pattern = try #require(Self.patterns[name])
        for length in [2_000, 8_000, 20_000] {
            let text = String(String(repeating: pattern, count: length / pattern.count + 1).prefix(length))
            let gate = Gate()
            let started = Counter()
            let brain = FailingBrain(
                .answer {
                    PullStream {
                        {
                            defer { started.increment() }
                            if started.value == 0 { return .started(.demo, reason: "") }
                            await gate.pass()
                            return nil
                        }
                    }
                })
            let chat = ChatModel(brain: brain)
            chat.draft = "Hello"
            chat.send()
            await until { chat.answer?.status == .writing && chat.target != nil }
            var times: [Duration] = []
            var rest = text[...]
            while !rest.isEmpty {
                let chunk = String(rest.prefix(4))
                rest = rest.dropFirst(4)
                let begin = ContinuousClock.now
                chat.show([.text(chunk)])
                _ = chat.blocks(of: try #require(chat.messages.last))
                times.append(ContinuousClock.now - begin)
            }
            var stream = MarkdownStream()
            stream.update(to: try #require(chat.messages.last?.text))
            #expect(stream.whole == Markdown(text).blocks)
            gate.open()
            await chat.work?.value
            if ProcessInfo.processInfo.environment["NEARSIDE_MEASURE"] != nil { report(name, length, times) }
        }
    }

    private func report(_ name: String, _ length: Int, _ times: [Duration]) {
        func milliseconds(_ time: Duration) -> String {
            (time / .milliseconds(1)).formatted(.number.precision(.fractionLength(3)))
        }
        let sorted = times.sorted()
        // The machine may run something else meanwhile: 99 of 100 chunks are not later than this.
        let most = sorted[sorted.count * 99 / 100]
        let total = times.reduce(.zero, +)
        print(
            "markdown: \(name), \(length) characters in \(times.count) chunks: worst \(milliseconds(sorted.last ?? .zero))",
            "ms, 99 % within \(milliseconds(most)) ms, total \(milliseconds(total)) ms")
    }
}
