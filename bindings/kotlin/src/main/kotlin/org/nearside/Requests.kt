/*
 * Short ways to say what is said most.
 */
package org.nearside

/** Opens the directory in which models are kept, with everything else left at its default. */
fun Nearside(directory: String): Nearside = Nearside(Config(directory))

/** A request with the library's own choices; the constructor takes others, and `copy` changes one. */
fun ChatRequest(
    messages: List<Message>,
    model: String? = null,
    provider: String? = null,
    mode: Mode = Mode.PREFER_ON_DEVICE,
    sensitivity: Sensitivity = Sensitivity.PERSONAL,
    sampling: Sampling = Sampling(),
    tools: List<Tool> = emptyList(),
    limits: Limits = Limits(),
    consent: Target? = null,
): ChatRequest = ChatRequest(
    messages,
    model,
    provider,
    mode,
    sensitivity,
    sampling,
    Reasoning.Auto,
    Output.Text,
    tools,
    limits,
    false,
    consent,
    null,
)

/** A policy that is as strict as the library's own, with these changes. */
fun Policy(
    version: String,
    regions: List<String> = emptyList(),
    allowRetention: Boolean = false,
    allowTraining: Boolean = false,
    consent: Consent = Consent.ASK,
): Policy = Policy(version, regions, allowRetention, allowTraining, consent = consent)

/** What the person says. */
fun user(text: String): Message = Message(Role.USER, listOf(Part.Text(text)))

/** Instructions for the whole conversation. */
fun system(text: String): Message = Message(Role.SYSTEM, listOf(Part.Text(text)))

/** What the model said. */
fun assistant(text: String): Message = Message(Role.ASSISTANT, listOf(Part.Text(text)))
