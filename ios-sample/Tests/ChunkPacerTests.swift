// One update of the screen per frame while an answer arrives; the last chunks are never held back.

import Testing

@testable import NearsideSample

@MainActor @Suite(.timeLimit(.minutes(1)))
struct ChunkPacerTests {
    @Test func chunksBetweenTwoFramesAreDeliveredTogether() async {
        let gate = Gate()
        let delivered = Box<[[AnswerChunk]]>([])
        let pacer = ChunkPacer(frame: { await gate.pass() }, deliver: { delivered.value.append($0) })
        pacer.add(.text("a"))
        #expect(delivered.value == [[.text("a")]], "the first is not held back")
        for text in ["b", "c", "d"] { pacer.add(.text(text)) }
        #expect(delivered.value.count == 1)
        await reached(gate)
        gate.step()
        await reached(gate)
        #expect(delivered.value == [[.text("a")], [.text("bcd")]])
        pacer.add(.reasoning("e"))
        pacer.add(.text("f"))
        pacer.finish()
        #expect(delivered.value.last == [.reasoning("e"), .text("f")])
        gate.open()
    }

    @Test func aFrameWithoutChunksDeliversNothingAndTheNextChunkIsDeliveredAtOnce() async {
        let gate = Gate()
        let delivered = Box(0)
        let pacer = ChunkPacer(frame: { await gate.pass() }, deliver: { _ in delivered.value += 1 })
        pacer.add(.text("a"))
        await reached(gate)
        gate.step()
        while gate.isAwaited { await Task.yield() }
        for _ in 0..<20 { await Task.yield() }
        #expect(delivered.value == 1)
        pacer.add(.text("b"))
        #expect(delivered.value == 2)
        pacer.finish()
        #expect(delivered.value == 2)
        gate.open()
    }

    @Test func anAnswerIsCompleteWithoutAnotherFrame() async throws {
        let gate = Gate()
        let chat = ChatModel(brain: quick(), frame: { await gate.pass() })
        await chat.load()
        await chat.say("Why do the tides come twice a day?")
        let answer = try #require(chat.answer)
        #expect(answer.status == .done)
        #expect(chat.blocks(of: answer) == Markdown(answer.text).blocks)
        gate.open()
    }

    /// Waits until a frame is awaited.
    private func reached(_ gate: Gate) async {
        while !gate.isAwaited { await Task.yield() }
    }
}
