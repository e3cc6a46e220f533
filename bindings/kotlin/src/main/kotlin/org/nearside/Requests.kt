/*
 * Short ways to say what is said most.
 */
package org.nearside

/** Opens the directory in which models are kept, with everything else left at its default. */
fun Nearside(directory: String): Nearside = Nearside(Config(directory))

/**
 * A request with the library's own choices where nothing else is said.
 *
 * Takes an [Iterable], so that a call with every argument resolves to the constructor, which takes a list.
 */
fun ChatRequest(
    messages: Iterable<Message>,
    model: String? = null,
    provider: String? = null,
    mode: Mode = Mode.PREFER_ON_DEVICE,
    sensitivity: Sensitivity = Sensitivity.PERSONAL,
    sampling: Sampling = Sampling(),
    reasoning: Reasoning = Reasoning.Auto,
    output: Output = Output.Text,
    tools: List<Tool> = emptyList(),
    limits: Limits = Limits(),
    webSearch: Boolean = false,
    consent: Target? = null,
    purpose: String? = null,
): ChatRequest {
    // A value of this type can only mean the constructor; the names would leave it open.
    val list: List<Message> = messages.toList()
    return ChatRequest(
        list,
        model,
        provider,
        mode,
        sensitivity,
        sampling,
        reasoning,
        output,
        tools,
        limits,
        webSearch,
        consent,
        purpose,
    )
}

/** A user message. */
fun user(text: String): Message = Message(Role.USER, listOf(Part.Text(text)))

/** Instructions for the whole conversation. */
fun system(text: String): Message = Message(Role.SYSTEM, listOf(Part.Text(text)))

/** An assistant message. */
fun assistant(text: String): Message = Message(Role.ASSISTANT, listOf(Part.Text(text)))
