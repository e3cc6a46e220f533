/*
 * Content of the demo: chats, answers and models, in English and Russian.
 *
 * Models and prices are examples that resemble those of November 2026; the real ones come from the library.
 */
package org.nearside.sample

internal class DemoAnswer(val keywords: List<String> = emptyList(), val reasoning: String = "", val text: String)

internal class DemoOffer(val id: String, val name: String, val dollarsIn: Double, val dollarsOut: Double)

internal class DemoTurn(
    val question: String,
    val reasoning: String = "",
    val text: String,
    private val receipt: AnswerReceipt = AnswerReceipt(
        target = AnswerTarget.Device("SmolLM2 360M"),
        reason = "installed and fits",
        promptTokens = 96,
        answerTokens = 183,
        firstTokenSeconds = 0.28,
        tokensPerSecond = 31.6,
        preset = AnswerPreset.Balanced,
        temperature = 0.7,
        topP = 0.95,
    ),
) {
    fun answer(id: MessageId) = MessageEntry(
        id,
        Author.Model,
        text,
        reasoning,
        reasoningSeconds = if (reasoning.isEmpty()) 0.0 else 4.2,
        receipt = receipt,
    )
}

internal class DemoChat(val title: String, vararg val turns: DemoTurn)

internal class DemoContent(
    val chats: List<DemoChat>,
    val answers: List<DemoAnswer>,
    val fallback: DemoAnswer,
    val me: String,
    val model: String,
    val localReason: String,
    val consentReason: String,
    val requestReason: String,
    val tooLong: String,
    val staysHere: String,
    val notAgreed: String,
    val missingChat: String,
    val unknownModel: String,
    val notAModel: String,
    val presetReason: String,
    val suggestion: String,
    val noTemplate: String,
    val verdicts: Map<FitLevel, String>,
    notes: List<String>,
) {
    val catalog: List<ModelEntry> = models.zip(notes) { model, note -> model.copy(note = note) }

    fun answer(question: String): DemoAnswer =
        answers.firstOrNull { answer -> answer.keywords.any { question.contains(it, ignoreCase = true) } } ?: fallback

    companion object {
        /** Longest question in characters that the demo answers locally; a longer one needs consent. */
        const val FITS = 1_500

        /** Number of messages that the demo's context holds before the question. */
        const val CONTEXT_MESSAGES = 6
        const val BUDGET = 2_900_000_000
        const val REMOTE_MODEL = "deepseek/deepseek-v3.2"
        val remoteDataPolicy = DataPolicyInfo(region = "US", asOf = "2026-11-20")
        val rejectedMore = listOf(RejectedCount(RoutingRule.Policy, 3), RejectedCount(RoutingRule.Budget, 12))
        val citation = Citation("https://oceanservice.noaa.gov", "NOAA: tides and currents")

        /** Prices per million tokens. */
        val offers = listOf(
            DemoOffer(REMOTE_MODEL, "DeepSeek V3.2", 0.27, 0.4),
            DemoOffer("qwen/qwen3-32b", "Qwen3 32B", 0.1, 0.3),
            DemoOffer("meta-llama/llama-3.3-70b-instruct", "Llama 3.3 70B", 0.13, 0.39),
            DemoOffer("mistralai/mistral-small-3.2", "Mistral Small 3.2", 0.06, 0.18),
        )

        val costs = listOf(
            CostLine(AnswerTarget.Device("SmolLM2 360M"), isSetUp = true, dollars = 0.0, asOf = ""),
            CostLine(AnswerTarget.Provider("openrouter", REMOTE_MODEL), true, dollars = 0.0004, asOf = "2026-11-20"),
            CostLine(
                AnswerTarget.Provider("groq", "llama-3.3-70b-versatile"),
                isSetUp = false,
                dollars = 0.0009,
                asOf = "2026-11-02",
            ),
        )

        private val models = listOf(
            ModelEntry(
                "smollm2-360m",
                "hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0",
                "SmolLM2 360M",
                "Hugging Face",
                386_404_992,
                "Q8_0",
                "Apache-2.0",
            ),
            ModelEntry(
                "qwen2.5-1.5b",
                "hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M",
                "Qwen2.5 1.5B",
                "Alibaba",
                1_117_320_736,
                "Q4_K_M",
                "Apache-2.0",
            ),
            ModelEntry(
                "deepseek-r1-1.5b",
                "hf:unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF:Q4_K_M",
                "DeepSeek R1 Distill 1.5B",
                "DeepSeek",
                1_117_320_576,
                "Q4_K_M",
                "MIT",
                reasons = true,
            ),
            ModelEntry(
                "qwen2.5-3b",
                "hf:Qwen/Qwen2.5-3B-Instruct-GGUF:Q5_K_M",
                "Qwen2.5 3B",
                "Alibaba",
                2_438_740_384,
                "Q5_K_M",
                "Qwen Research",
            ),
            ModelEntry(
                "deepseek-r1-7b",
                "hf:unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF:Q4_K_M",
                "DeepSeek R1 Distill 7B",
                "DeepSeek",
                4_683_073_248,
                "Q4_K_M",
                "MIT",
                reasons = true,
            ),
        )

        val english: DemoContent get() = englishDemo()
        val russian: DemoContent get() = russianDemo()
    }
}
