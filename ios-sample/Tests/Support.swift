// What the tests share: a demo brain that answers at once or word by word, and a way to wait for a model without a clock.

import Foundation
import Observation
import Testing

@testable import NearsideSample

/// Answers at once.
func quick(fresh: Bool = false) -> DemoBrain {
    DemoBrain(pace: .zero, fresh: fresh, russian: false)
}

/// Answers so that there is time to stop it.
func slow(fresh: Bool = false) -> DemoBrain {
    DemoBrain(pace: .milliseconds(5), fresh: fresh, russian: false)
}

/// Waits until what is observed is so; the suite's time limit is the limit.
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
    /// Types, sends and waits for the end.
    func say(_ text: String) async {
        draft = text
        send()
        await work?.value
    }

    var answer: MessageEntry? { messages.last { $0.author == .model } }
}
