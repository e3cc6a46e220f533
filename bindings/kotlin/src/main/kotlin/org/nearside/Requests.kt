/*
 * Short ways to say what is said most.
 */
package org.nearside

/** Opens the directory in which models are kept, with everything else left at its default. */
fun Nearside(directory: String): Nearside = Nearside(Config(directory))

/** A request with the model's own way of reasoning; the constructor takes another. */
fun ChatRequest(
    messages: List<Message>,
    model: String? = null,
    sampling: Sampling = Sampling(),
    tools: List<Tool> = emptyList(),
    limits: Limits = Limits(),
): ChatRequest = ChatRequest(messages, model, sampling, Reasoning.AUTO, tools, limits)

/** What the person says. */
fun user(text: String): Message = Message(Role.USER, listOf(Part.Text(text)))

/** Instructions for the whole conversation. */
fun system(text: String): Message = Message(Role.SYSTEM, listOf(Part.Text(text)))

/** What the model said. */
fun assistant(text: String): Message = Message(Role.ASSISTANT, listOf(Part.Text(text)))
