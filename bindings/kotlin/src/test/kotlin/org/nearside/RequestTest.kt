package org.nearside

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith

/** Requests and their defaults. */
class RequestTest {
    @Test
    fun aPlainQuestionNeedsOnlyItsMessages() = scenario {
        val conversation =
            listOf(ChatMessage.system("Be brief."), ChatMessage.user("Why?"), ChatMessage.assistant("So."))
        val plain = ChatRequest(messages = conversation)
        val spelledOut = ChatRequest(
            messages = listOf(
                ChatMessage(MessageRole.SYSTEM, listOf(ContentPart.Text("Be brief."))),
                ChatMessage(MessageRole.USER, listOf(ContentPart.Text("Why?"))),
                ChatMessage(MessageRole.ASSISTANT, listOf(ContentPart.Text("So."))),
            ),
            model = null,
            provider = null,
            mode = RoutingMode.PREFER_ON_DEVICE,
            sensitivity = Sensitivity.PERSONAL,
            sampling = SamplingOptions(null, null, null, null, null, null, null, null, null, emptyList()),
            reasoning = ReasoningMode.Auto,
            output = OutputFormat.Text,
            tools = emptyList(),
            limits = RequestLimits(maxTokens = null, maxUsd = null, deadlineMs = null),
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
