/*
 * A clock that a test sets: the borders of days and months, at which caps and spending begin anew, need no waiting.
 */
@file:OptIn(NearsideTestingApi::class)

package org.nearside.testing

import java.time.Instant
import kotlin.time.Duration
import org.nearside.NearsideTestingApi
import org.nearside.TestClock

/**
 * A wall clock that stands still until the test moves it. It dates spending, caps, model lists and conversations:
 *
 *     val clock = FakeClock(Instant.parse("2026-03-31T23:59:59Z"))
 *     val nearside = scripted(clock = clock) { text("Because of the moon.") }
 *     clock.advance(1.seconds)
 */
public class FakeClock(moment: Instant) : AutoCloseable {
    internal val clock = TestClock(moment.toEpochMilli().toULong())

    /** The moment at which it stands. */
    public var now: Instant
        get() = Instant.ofEpochMilli(clock.unixMs().toLong())
        set(moment) = clock.set(moment.toEpochMilli().toULong())

    /** Moves the clock forward. */
    public fun advance(duration: Duration): Unit = clock.advance(duration.inWholeMilliseconds.toULong())

    /** Frees the clock. A library that uses it keeps its time. */
    override fun close(): Unit = clock.close()
}
