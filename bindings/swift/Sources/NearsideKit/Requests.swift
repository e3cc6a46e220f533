// Shorthand initializers and factories for common requests.

import Foundation

extension Nearside {
    /// Opens the directory in which models are kept, with everything else left at its default.
    public convenience init(directory: URL) throws {
        try self.init(config: Config(directory: directory.path))
    }

    /// The same on a device whose side the app tells: `AppleHost()` on Apple's systems.
    public convenience init(directory: URL, host: any DeviceHost) throws {
        try self.init(config: Config(directory: directory.path), host: host)
    }

    /// Everything said, and a host.
    public convenience init(config: Config, host: any DeviceHost) throws {
        // UniFFI makes a constructor with a name a static function; the second object takes over a handle of its own.
        self.init(unsafeFromHandle: try Nearside.withHost(config: config, host: host).uniffiCloneHandle())
    }
}

extension ChatRequest {
    /// A request with defaults for every field that is not given.
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
    /// A user message.
    public static func user(_ text: String) -> Message {
        Message(role: .user, parts: [.text(text: text)])
    }

    /// Instructions for the whole conversation.
    public static func system(_ text: String) -> Message {
        Message(role: .system, parts: [.text(text: text)])
    }

    /// An assistant message.
    public static func assistant(_ text: String) -> Message {
        Message(role: .assistant, parts: [.text(text: text)])
    }
}

extension ModelRef {
    /// Reads a reference such as `hf:ORG/REPO:Q8_0`, an `https` address, a path, or the id of an installed model.
    public init(_ text: String) throws {
        self = try modelRef(text: text)
    }
}
