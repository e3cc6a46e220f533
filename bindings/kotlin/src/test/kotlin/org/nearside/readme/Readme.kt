/*
 * The snippet of README.md, word for word, so that it compiles; scripts/check-readme.sh compares the two.
 */
@file:Suppress("ktlint:standard:no-wildcard-imports", "ktlint:standard:function-literal")

package org.nearside.readme

import java.io.File
import org.nearside.*

internal suspend fun readme(filesDir: File, view: View) {
    val nearside = Nearside.open(filesDir.path) // an Android app: Nearside.open(Config.forApp(context))
    val model = ModelRef.parse("hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0")

    val fit = nearside.fit(model) // before any download: only the head of the file is fetched, and kept
    if (fit.verdict == FitVerdict.TOO_LARGE) return view.show(fit.suggestions)

    nearside.download(model).collect { event -> // resumes, verifies, never leaves half a model
        if (event is DownloadEvent.Progress) view.bar = event.done.toDouble() / event.total.toDouble()
    }

    val request = ChatRequest(listOf(ChatMessage.user("Why do the tides come twice a day?")))
    nearside.chat(request).collect { chunk -> // cancelling the coroutine cancels the request
        when (chunk) {
            is Chunk.Reasoning -> view.thoughts += chunk.text
            is Chunk.Text -> view.answer += chunk.text
            is Chunk.Done -> view.tokens = chunk.summary.usage.completionTokens
            else -> Unit
        }
    }
}

/** The parts of a screen that the snippet uses. */
internal class View {
    var bar = 0.0
    var thoughts = ""
    var answer = ""
    var tokens = 0u

    fun show(suggestions: List<FitSuggestion>) {
        answer = suggestions.joinToString("\n") { it.text }
    }
}
