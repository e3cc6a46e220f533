// A clock that a test sets: the borders of days and months, at which caps and spending begin anew, need no waiting.

import Foundation
@_exported @_spi(Testing) import NearsideKit

/// A wall clock that stands still until the test moves it. It dates spending, caps, model lists and conversations.
///
///     let clock = FakeClock(at: lastSecondOfMarch)
///     let nearside = try Nearside.scripted(clock: clock) { "Because of the moon." }
///     try clock.advance(by: .seconds(1))
public final class FakeClock: Sendable {
    let clock: TestClock

    /// Creates a clock that stands at this moment.
    public init(at moment: Date) {
        clock = TestClock(unixMs: moment.unixMs)
    }

    /// The moment at which it stands.
    public var now: Date {
        // A number in memory: the call fails only by a bug of the library.
        Date(timeIntervalSince1970: Double((try? clock.unixMs()) ?? 0) / 1000)
    }

    /// Moves the clock to this moment.
    public func set(to moment: Date) throws {
        try clock.set(unixMs: moment.unixMs)
    }

    /// Moves the clock forward.
    public func advance(by duration: Duration) throws {
        try clock.advance(ms: duration.milliseconds)
    }
}

extension Date {
    fileprivate var unixMs: UInt64 { UInt64(max(0, (timeIntervalSince1970 * 1000).rounded())) }
}

extension Duration {
    /// Whole milliseconds; negative durations are none.
    var milliseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
