/* Shorthand factories for common requests: extensions of companions, as Swift has them in extensions of the types. */
package org.nearside

/**
 * Opens the library with the defaults of [Config], on a thread of its own: models in [directory], conversations, settings and
 * spending in [dataDirectory], or all in one. [host] reports the device's state: on Android an `AndroidHost` by default.
 */
suspend fun Nearside.Companion.open(
    directory: String,
    dataDirectory: String? = null,
    host: DeviceHost? = PlatformHost.current,
): Nearside = open(Config(directory, dataDirectory), host)

/**
 * Returns a request with defaults for every field that is not given: `ChatRequest(listOf(ChatMessage.user("Why?")))`.
 *
 * A call with every argument resolves to the constructor. Code that does not import `org.nearside.*` imports
 * `org.nearside.invoke`.
 */
operator fun ChatRequest.Companion.invoke(
    messages: List<ChatMessage>,
    model: String? = null,
    provider: String? = null,
    mode: RoutingMode = RoutingMode.PREFER_ON_DEVICE,
    sensitivity: Sensitivity = Sensitivity.PERSONAL,
    sampling: SamplingOptions = SamplingOptions(),
    reasoning: ReasoningMode = ReasoningMode.Auto,
    output: OutputFormat = OutputFormat.Text,
    tools: List<ToolDefinition> = emptyList(),
    limits: RequestLimits = RequestLimits(),
    webSearch: Boolean = false,
    consent: RouteTarget? = null,
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
fun ChatMessage.Companion.user(text: String): ChatMessage = textMessage(MessageRole.USER, text)

/** Returns a system message: instructions for the whole conversation. */
fun ChatMessage.Companion.system(text: String): ChatMessage = textMessage(MessageRole.SYSTEM, text)

/** Returns an assistant message. */
fun ChatMessage.Companion.assistant(text: String): ChatMessage = textMessage(MessageRole.ASSISTANT, text)

private fun textMessage(role: MessageRole, text: String) = ChatMessage(role, listOf(ContentPart.Text(text)))

/** Parses a reference such as `hf:ORG/REPO:Q8_0`, an `https` address, a path, or the id of an installed model. */
fun ModelRef.Companion.parse(text: String): ModelRef = modelRef(text)
