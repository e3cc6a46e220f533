/* Shorthand factories for common requests: extensions of companions, as Swift has them in extensions of the types. */
package org.nearside

/** Opens the models in [directory] with the defaults of [Config]. [host], if given, reports the device's state. */
fun Nearside.Companion.open(directory: String, host: DeviceHost? = null): Nearside =
    Config(directory).let { config -> if (host == null) Nearside(config) else withHost(config, host) }

/**
 * Returns a request with defaults for every field that is not given: `ChatRequest(listOf(Message.user("Why?")))`.
 *
 * A call with every argument resolves to the constructor. Code that does not import `org.nearside.*` imports
 * `org.nearside.invoke`.
 */
operator fun ChatRequest.Companion.invoke(
    messages: List<Message>,
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
): ChatRequest = ChatRequest(
    messages,
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

/** Returns a user message. */
fun Message.Companion.user(text: String): Message = textMessage(Role.USER, text)

/** Returns a system message: instructions for the whole conversation. */
fun Message.Companion.system(text: String): Message = textMessage(Role.SYSTEM, text)

/** Returns an assistant message. */
fun Message.Companion.assistant(text: String): Message = textMessage(Role.ASSISTANT, text)

private fun textMessage(role: Role, text: String) = Message(role, listOf(Part.Text(text)))

/** Parses a reference such as `hf:ORG/REPO:Q8_0`, an `https` address, a path, or the id of an installed model. */
fun ModelRef.Companion.parse(text: String): ModelRef = modelRef(text)
