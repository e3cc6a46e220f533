// Shorthand initializers and factories for common requests.

import Foundation

extension Nearside {
    /// Opens the library's data directory with the default settings.
    public convenience init(directory: URL) throws {
        try self.init(config: Config(directory: directory.path))
    }

    /// Opens the data directory with a host that reports device facts: `AppleHost()` on Apple's systems.
    public convenience init(directory: URL, host: any DeviceHost) throws {
        try self.init(config: Config(directory: directory.path), host: host)
    }

    /// Opens the library with these settings and a host.
    public convenience init(config: Config, host: any DeviceHost) throws {
        // UniFFI turns a named constructor into a static function; `self` gets a handle of its own, cloned from it.
        self.init(unsafeFromHandle: try Nearside.withHost(config: config, host: host).uniffiCloneHandle())
    }
}

extension ChatRequest {
    /// Creates a request; every parameter but `messages` has a default.
    ///
    /// Takes a sequence, so that a call with every argument resolves to the memberwise initializer, which takes an
    /// array.
    public init(
        messages: some Sequence<Message>, model: String? = nil, provider: String? = nil, mode: Mode = .preferOnDevice,
        sensitivity: Sensitivity = .personal, sampling: Sampling = Sampling(), reasoning: Reasoning = .auto,
        output: Output = .text, tools: [Tool] = [], limits: Limits = Limits(), webSearch: Bool = false,
        consent: Target? = nil, purpose: String? = nil
    ) {
        let array: [Message] = Array(messages)
        self.init(
            messages: array, model: model, provider: provider, mode: mode, sensitivity: sensitivity,
            sampling: sampling, reasoning: reasoning, output: output, tools: tools, limits: limits,
            webSearch: webSearch, consent: consent, purpose: purpose)
    }
}

extension Message {
    /// Returns a user message.
    public static func user(_ text: String) -> Message {
        Message(role: .user, parts: [.text(text: text)])
    }

    /// Returns a system message: instructions for the whole conversation.
    public static func system(_ text: String) -> Message {
        Message(role: .system, parts: [.text(text: text)])
    }

    /// Returns an assistant message.
    public static func assistant(_ text: String) -> Message {
        Message(role: .assistant, parts: [.text(text: text)])
    }
}

extension ModelRef {
    /// Parses a reference such as `hf:ORG/REPO:Q8_0`, an `https` address, a path, or the id of an installed model.
    public static func parse(_ text: String) throws -> ModelRef {
        try modelRef(text: text)
    }
}
