// Test fixtures: a demo brain whose answers arrive at once or word by word, and a wait without a clock.

import Foundation
import Observation
import Testing

@testable import NearsideSample

/// Returns a brain that answers at once.
func quick(fresh: Bool = false) -> DemoBrain {
    DemoBrain(pace: .zero, fresh: fresh, russian: false)
}

/// Returns a brain that answers slowly enough to be stopped.
func slow(fresh: Bool = false) -> DemoBrain {
    DemoBrain(pace: .milliseconds(5), fresh: fresh, russian: false)
}

/// Waits until the observed condition holds; the time limit of the suite applies.
@MainActor
func until(_ holds: @escaping @MainActor () -> Bool) async {
    while true {
        let (changes, signal) = AsyncStream.makeStream(of: Void.self)
        let isSo = withObservationTracking {
            holds()
        } onChange: {
            signal.yield()
            signal.finish()
        }
        if isSo { return }
        for await _ in changes { break }
    }
}

extension ChatModel {
    /// Types, sends, and waits for the end of the answer.
    func say(_ text: String) async {
        draft = text
        send()
        await work?.value
    }

    var answer: MessageEntry? { messages.last { $0.author == .model } }
}
