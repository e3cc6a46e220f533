package org.nearside

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith

/** Requests and their defaults. */
class RequestTest {
    @Test
    fun aPlainQuestionNeedsOnlyItsMessages() = scenario {
        val conversation = listOf(Message.system("Be brief."), Message.user("Why?"), Message.assistant("So."))
        val plain = ChatRequest(messages = conversation)
        val spelledOut = ChatRequest(
            messages = listOf(
                Message(Role.SYSTEM, listOf(Part.Text("Be brief."))),
                Message(Role.USER, listOf(Part.Text("Why?"))),
                Message(Role.ASSISTANT, listOf(Part.Text("So."))),
            ),
            model = null,
            provider = null,
            mode = Mode.PREFER_ON_DEVICE,
            sensitivity = Sensitivity.PERSONAL,
            sampling = Sampling(null, null, null, null, null, null, null, null, null, emptyList()),
            reasoning = Reasoning.Auto,
            output = Output.Text,
            tools = emptyList(),
            limits = Limits(maxTokens = null, maxUsd = null, deadlineMs = null),
            webSearch = false,
            consent = null,
            purpose = null,
        )
        assertEquals(spelledOut, plain)
    }

    @Test
    fun aModelReferenceIsReadOrRefused() = scenario {
        assertEquals(
            ModelRef.Hub("ORG/REPO", revision = null, file = HubFile.Quantization("Q8_0")),
            ModelRef.parse("hf:ORG/REPO:Q8_0"),
        )
        assertFailsWith<NearsideException.InvalidRequest> { ModelRef.parse("") }
    }
}
