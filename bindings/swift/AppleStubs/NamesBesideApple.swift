// An app that uses NearsideKit beside Apple's FoundationModels and Network. It compiles only while no name of
// NearsideKit is ambiguous beside theirs, and while the module's types can be qualified: scripts/bindings.sh apple-swift.

import Foundation
import FoundationModels
import NearsideKit
import Network
import SwiftUI

/// A tool of Apple's `FoundationModels`, with a definition for Nearside.
struct Weather: Tool {
    let name = "weather"
    let description = "Returns the weather in a city."

    var definition: ToolDefinition {
        ToolDefinition(name: name, description: description, parameters: #"{"type":"object"}"#)
    }

    func call(arguments city: String) async throws -> String {
        "Sunny in \(city)."
    }
}

/// Maps Apple's network path to the library's connectivity.
func connectivity(of path: NWPath) -> Connectivity {
    path.status != .satisfied ? .offline : path.isExpensive || path.isConstrained ? .metered : .unmetered
}

/// Sends one request to a session of `FoundationModels` and to Nearside.
func answers(to question: String, in directory: URL) async throws -> (apple: String, nearside: String) {
    let tool = Weather()
    let session = LanguageModelSession(tools: [tool], instructions: Instructions("Be brief."))
    let apple = try await session.respond(to: Prompt(question), options: GenerationOptions(temperature: 0))

    let nearside: NearsideKit.Nearside = try NearsideKit.Nearside(directory: directory, host: AppleHost())
    let policy: RoutingPolicy = try nearside.policy()
    try await nearside.setPolicy(policy: policy)
    let messages: [ChatMessage] = [.system("Be brief."), ChatMessage(role: .user, parts: [.text(text: question)])]
    let role: MessageRole = messages[0].role
    let output: OutputFormat = role == .system ? .text : .json
    let limits = RequestLimits(maxTokens: 64)
    let request = ChatRequest(
        messages: messages, sampling: SamplingOptions(temperature: 0), output: output, tools: [tool.definition],
        limits: limits)
    var text = ""
    var target: RouteTarget?
    for try await chunk in nearside.chat(request) {
        switch chunk {
        case .started(let route): target = route.target
        case .text(let more): text += more
        default: break
        }
    }
    return (apple.content, target.map { "\($0): \(text)" } ?? text)
}

/// Follows a scene's phase: the code in the documentation of `followApp(scenePhase:)`.
func follow(_ phase: ScenePhase, with nearside: NearsideKit.Nearside) {
    nearside.followApp(scenePhase: phase)  // in an `onChange(of: scenePhase)`
}

/// Each module's types by their qualified names.
enum Qualified {
    typealias AppleTool = FoundationModels.Tool
    typealias ApplePath = Network.NWPath
    typealias Library = NearsideKit.Nearside
    typealias Definition = NearsideKit.ToolDefinition
    typealias Reachability = NearsideKit.Connectivity
    typealias Message = NearsideKit.ChatMessage
    typealias Host = NearsideKit.AppleHost
    typealias Stream = NearsideKit.BatchSequence<NearsideKit.ChatStream>
}
