// Delivers the chunks of an answer at most once per frame: a fast model writes a hundred tokens per second, and each
// delivery is an update of the screen. The last chunks are delivered at once.

import Foundation

@MainActor
final class ChunkPacer {
    private let frame: @MainActor () async -> Void
    private let deliver: @MainActor ([AnswerChunk]) -> Void
    private var collected: [AnswerChunk] = []
    private var wait: Task<Void, Never>?

    /// `frame` returns when the next update may be delivered.
    init(
        frame: @escaping @MainActor () async -> Void = ChunkPacer.nextFrame,
        deliver: @escaping @MainActor ([AnswerChunk]) -> Void
    ) {
        (self.frame, self.deliver) = (frame, deliver)
    }

    /// Waits for the time of a frame at 60 Hz.
    static func nextFrame() async { try? await Task.sleep(for: .milliseconds(16)) }

    /// Delivers the chunk now if no frame is awaited, else with the frame.
    func add(_ chunk: AnswerChunk) {
        switch (collected.last, chunk) {
        case (.text(let text), .text(let more)): collected[collected.count - 1] = .text(text + more)
        case (.reasoning(let text), .reasoning(let more)): collected[collected.count - 1] = .reasoning(text + more)
        default: collected.append(chunk)
        }
        if wait == nil { flush() }
    }

    /// Delivers what is left.
    func finish() {
        wait?.cancel()
        wait = nil
        deliverCollected()
    }

    private func flush() {
        deliverCollected()
        wait = Task { [weak self, frame] in
            await frame()
            guard let self, !Task.isCancelled else { return }
            wait = nil
            if !collected.isEmpty { flush() }
        }
    }

    private func deliverCollected() {
        guard !collected.isEmpty else { return }
        let chunks = collected
        collected = []
        deliver(chunks)
    }
}
