/*
 * A library whose answers are scripted, for an app's tests: no model, no network, and the same chunks in the same order
 * on every machine.
 *
 *     val nearside = scripted {
 *         reasoning("The moon pulls, so")
 *         text("Because of the moon.")
 *     }
 */
@file:OptIn(NearsideTestingApi::class)

package org.nearside.testing

import kotlin.io.path.createTempDirectory
import kotlin.time.Duration
import org.nearside.Config
import org.nearside.DeviceHost
import org.nearside.ErrorKind
import org.nearside.ErrorReason
import org.nearside.Nearside
import org.nearside.NearsideTestingApi
import org.nearside.ReplyStep
import org.nearside.ScriptedReply
import org.nearside.scriptApp

/**
 * Returns a library whose `chat` plays these steps for any request; without steps, answers are empty. Everything else
 * (models, conversations) is real and stored in [directory], by default a temporary one, with the facts of [host] and dated
 * by [clock]. [pause] is the delay before each word.
 */
public fun scripted(
    directory: String = freshDirectory(),
    pause: Duration = Duration.ZERO,
    host: DeviceHost? = null,
    clock: FakeClock? = null,
    steps: ScriptBuilder.() -> Unit = {},
): Nearside = Nearside.forTests(Config(directory), script(pause, steps), host, clock?.clock, inMemory = false)

/**
 * Returns a library for previews and screenshots on a JVM: it answers with these steps, opens no database, and forgets
 * everything at its end. Android Studio's `@Preview` cannot load native libraries.
 */
public fun preview(steps: ScriptBuilder.() -> Unit = {}): Nearside = Nearside.forTests(
    Config(freshDirectory()),
    script(Duration.ZERO, steps),
    host = null,
    clock = null,
    inMemory = true,
)

/**
 * Lets every library that the app opens from now on play a script, so that UI tests of a whole app need no code in it. Call it
 * before the app's first activity starts, as in a `@BeforeClass`. [json] is a script as `{"steps": [{"type": "text", "text":
 * "…"}]}`, for example an argument of the instrumentation; null: models and providers answer again.
 */
public fun scriptEveryLibrary(json: String?): Unit = scriptApp(json)

private fun script(pause: Duration, steps: ScriptBuilder.() -> Unit) =
    ScriptedReply(ScriptBuilder().apply(steps).steps, pause.inWholeMilliseconds.toUInt())

/** Builds the steps of an answer, in order. Each word is a chunk of its own. */
public class ScriptBuilder internal constructor() {
    internal val steps = mutableListOf<ReplyStep>()

    /** Adds reasoning. */
    public fun reasoning(text: String) {
        steps += ReplyStep.Reasoning(text)
    }

    /** Adds answer text. */
    public fun text(text: String) {
        steps += ReplyStep.Text(text)
    }

    /** Adds a tool call; [arguments] is a JSON object. */
    public fun toolCall(name: String, arguments: String, id: String = "call-${steps.size + 1}") {
        steps += ReplyStep.ToolCall(id, name, arguments)
    }

    /** Adds a stall until the request is cancelled, to test a stop button. */
    public fun stall() {
        steps += ReplyStep.Stall
    }

    /** Ends the answer with an error of this kind, with the kind's usual reason. */
    public fun fail(kind: ErrorKind, detail: String = "as the script says") {
        steps += ReplyStep.Fail(kind, detail)
    }

    /** Ends the answer with an error of this reason, of the reason's usual kind. */
    public fun fail(
        reason: ErrorReason,
        detail: String = "as the script says",
        retryAfterMs: ULong? = null,
        helpUrl: String? = null,
    ) {
        steps += ReplyStep.FailBecause(reason, detail, retryAfterMs, helpUrl)
    }
}

private fun freshDirectory(): String = createTempDirectory("nearside-").toFile().let { directory ->
    Runtime.getRuntime().addShutdownHook(Thread { directory.deleteRecursively() })
    directory.path
}
