// Maps between the types of the library and of the app, and contains no logic.

import Foundation
import NearsideKit

// MARK: - From the library

extension ChatSummary {
    init(_ summary: ConversationSummary) {
        self.init(
            id: summary.id, title: summary.title, pinned: summary.pinned,
            updated: Date(timeIntervalSince1970: Double(summary.updatedAtMs) / 1000), preview: summary.preview,
            messages: Int(summary.messages), options: ChatOptions(summary.settings))
    }
}

extension Chat {
    init(_ conversation: Conversation) {
        let shown = conversation.messages.filter { $0.role == .user || $0.role == .assistant }
        self.init(summary: ChatSummary(conversation.summary), messages: shown.map(MessageEntry.init))
    }
}

extension MessageEntry {
    init(_ message: StoredMessage) {
        self.init(
            id: message.id, author: message.role == .user ? .user : .model, text: message.text,
            reasoning: message.reasoning, reasoningSeconds: Double(message.reasoningMs) / 1000,
            citations: message.citations.map { Citation(url: $0.url, title: $0.title) },
            status: MessageStatus(message.state),
            receipt: message.receipt.map { AnswerReceipt($0, message.usage, message.timings) },
            omittedMessages: Int(message.omittedMessages),
            versions: message.versions)
    }
}

extension MessageStatus {
    init(_ state: MessageState) {
        switch state {
        case .writing: self = .writing
        case .done(let stop): self = MessageStatus(stop)
        case .interrupted: self = .interrupted
        case .failed(let error, let reason): self = .failed(BrainError(error, reason))
        }
    }

    init(_ stop: StopReason) {
        switch stop {
        case .end, .stopSequence, .toolCall: self = .done
        case .cancelled: self = .stopped
        case .maxTokens, .contextFull, .costLimit, .filtered, .memoryCritical: self = .cutShort
        }
    }
}

extension AnswerChunk {
    /// Returns `nil` for tool calls: this app defines no tools.
    init?(_ chunk: Chunk) {
        switch chunk {
        case .started(let route):
            let omitted = Int(route.omittedMessages)
            self = .started(AnswerTarget(route.target), reason: route.reason, omitted: omitted)
        case .reasoning(let text): self = .reasoning(text)
        case .text(let text): self = .text(text)
        case .citation(let url, let title): self = .citation(Citation(url: url, title: title))
        case .toolCall: return nil
        case .done(let summary):
            self = .finished(
                MessageStatus(summary.stop), AnswerReceipt(summary.receipt, summary.usage, summary.timings))
        }
    }
}

extension AnswerDecision {
    init(_ decision: RouteDecision) {
        switch decision {
        case .route(let route): self = .route(AnswerTarget(route.target), reason: route.reason)
        case .needsConsent(let question):
            self = .needsConsent(
                ConsentPrompt(
                    target: AnswerTarget(question.target), reason: question.reason,
                    dataPolicy: DataPolicyInfo(question.dataPolicy), cost: question.costUsd))
        case .noRoute(_, _, let reason, let detail, _, let retryAfterMs):
            self = .noRoute(BrainError(detail, reason, retryAfterMs: retryAfterMs))
        }
    }
}

extension AnswerTarget {
    init(_ target: RouteTarget) {
        switch target {
        case .local(let model): self = .device(model: model)
        case .remote(let provider, let model): self = .provider(name: provider, model: model)
        case .scripted: self = .demo
        }
    }

    var routeTarget: RouteTarget {
        switch self {
        case .device(let model): .local(model: model)
        case .provider(let name, let model): .remote(provider: name, model: model)
        case .demo: .scripted
        }
    }
}

extension AnswerReceipt {
    init(_ receipt: Receipt, _ usage: TokenUsage?, _ timings: Timings?) {
        self.init(
            target: AnswerTarget(receipt.target), servedBy: receipt.servedBy, reason: receipt.reason,
            rejected: receipt.skipped.map { RejectedTarget(target: AnswerTarget($0.target), reason: $0.reason) },
            rejectedMore: receipt.skippedMore.map { RejectedCount(rule: RoutingRule($0.rule), count: Int($0.count)) },
            omittedMessages: Int(receipt.omittedMessages), readAgain: receipt.cacheMiss.map(ReadAgain.init),
            dataPolicy: DataPolicyInfo(receipt.dataPolicy),
            cost: receipt.costUsd,
            costIsCertain: receipt.costSource != .estimated && receipt.costSource != .unknown,
            promptTokens: Int(usage?.promptTokens ?? 0), answerTokens: Int(usage?.completionTokens ?? 0),
            firstTokenSeconds: (timings?.firstTokenMs ?? 0) / 1000, tokensPerSecond: timings?.tokensPerSecond ?? 0,
            preset: receipt.sampling.preset.map(AnswerPreset.init),
            temperature: receipt.sampling.temperature.map(rounded),
            topP: receipt.sampling.topP.map(rounded), samplingReason: receipt.sampling.reason)
    }
}

extension ReadAgain {
    init(_ changed: CacheMiss) {
        switch changed {
        case .systemPromptChanged: self = .systemPrompt
        case .toolsChanged: self = .tools
        }
    }
}

extension RoutingRule {
    /// Exhaustive: a new rule of the library does not compile until it is mapped.
    init(_ rule: RouteRule) {
        switch rule {
        case .requestedTarget: self = .requestedTarget
        case .onDeviceOnly: self = .onDeviceOnly
        case .mode: self = .mode
        case .capability: self = .capability
        case .policy: self = .policy
        case .reachability: self = .reachability
        case .budget: self = .budget
        case .memory: self = .memory
        case .preference: self = .preference
        case .noCandidates: self = .noCandidates
        case .previousFailed: self = .previousFailed
        }
    }
}

extension PresetInfo {
    init(_ values: SamplingPresetValues) {
        self.init(
            preset: AnswerPreset(values.preset), temperature: values.temperature.map(rounded),
            topP: values.topP.map(rounded), reason: values.reason)
    }
}

extension DataPolicyInfo {
    init(_ policy: DataPolicy) {
        self.init(
            region: policy.region, retained: policy.retained, trainedOn: policy.trainedOn, asOf: policy.asOf,
            note: policy.note)
    }
}

extension Fit {
    init(_ report: FitReport, reference: String) {
        self.init(
            reference: reference, verdict: FitLevel(report.verdict), reason: report.reason, note: report.note,
            needBytes: report.need.total, budgetBytes: report.budget.bytes, sizeBytes: report.sizeBytes,
            suggestions: report.suggestions.map(\.text))
    }
}

extension FitLevel {
    init(_ verdict: FitVerdict) { self = verdicts[verdict] ?? .tight }
}

extension ModelEntry {
    init(_ entry: CatalogEntry) {
        self.init(
            id: entry.id, reference: entry.id, name: entry.name, maker: entry.maker, sizeBytes: entry.sizeBytes,
            quantization: entry.quantization, license: entry.license, note: entry.note, reasons: entry.reasoning)
    }

    /// Maps an installed model. Takes name and notes from the catalogue if it came from there.
    init(_ model: InstalledModel, catalog: [CatalogEntry]) {
        let known = catalog.first {
            guard case .hub(let repo, _, _) = $0.model else { return false }
            return $0.quantization == model.quantization && model.source.hasPrefix("hf:\(repo)")
        }
        self.init(
            id: model.id, reference: known?.id ?? model.source, name: known?.name ?? model.id,
            maker: known?.maker ?? "", sizeBytes: model.sizeBytes, quantization: model.quantization,
            license: known?.license ?? "", note: known?.note ?? "", reasons: known?.reasoning ?? false,
            isImported: !model.source.hasPrefix("hf:") && !model.source.hasPrefix("http"))
    }
}

extension DownloadStep {
    init(_ event: DownloadEvent, catalog: [CatalogEntry]) {
        switch event {
        case .resolved(let file): self = .resolved(name: file.name, bytes: file.sizeBytes)
        case .progress(let done, let total, let rate): self = .progress(done: done, total: total, bytesPerSecond: rate)
        case .verifying: self = .verifying
        case .installed(let model): self = .installed(ModelEntry(model, catalog: catalog))
        }
    }
}

extension ProviderInfo {
    init(_ status: ProviderStatus) {
        self.init(
            name: status.settings.name, kind: ProviderType(status.settings.kind), address: status.baseUrl,
            hasKey: status.hasKey, model: status.defaultModel, dataPolicy: DataPolicyInfo(status.dataPolicy),
            models: Int(status.models), cooldownSeconds: Int(status.restingSeconds))
    }
}

/// Rounds to three digits, so that 0.69999999 becomes 0.7.
private func rounded(_ value: Float) -> Double { (Double(value) * 1000).rounded() / 1000 }

// MARK: - To the library

extension ChatOptions {
    init(_ settings: ConversationSettings) {
        self.init(
            model: settings.model, provider: settings.provider, preset: settings.preset.map(AnswerPreset.init),
            system: settings.system)
    }

    var settings: ConversationSettings {
        ConversationSettings(system: system, model: model, provider: provider, preset: preset.flatMap { presets[$0] })
    }
}

extension AnswerRequest {
    /// Builds a request with the new message only: the library adds the history.
    var chatRequest: ChatRequest {
        ChatRequest(
            messages: kind.text.map { [.user($0)] } ?? [], model: options.model, provider: options.provider,
            mode: modes[mode] ?? .onlyOnDevice, sensitivity: sensitivities[privacy] ?? .sensitive,
            sampling: SamplingOptions(preset: options.preset.flatMap { presets[$0] }), webSearch: webSearch,
            consent: consent?.routeTarget)
    }

    /// The first request of a conversation that does not exist yet: it has the instructions itself.
    var firstRequest: ChatRequest {
        var request = chatRequest
        if let system = options.system { request.messages.insert(.system(system), at: 0) }
        return request
    }

    var turn: ConversationTurn {
        switch kind {
        case .send: .next
        case .edit(let old, _): .edit(message: old)
        case .regenerate(let old): .regenerate(message: old)
        case .resume: .resume
        }
    }
}

extension AnswerPreset {
    init(_ preset: SamplingPreset) { self = presets.first { $0.value == preset }?.key ?? .balanced }
}

extension ProviderType {
    init(_ kind: ProviderKind) { self = kinds.first { $0.value == kind }?.key ?? .compatible }
}

extension ProviderKind {
    init(_ type: ProviderType) { self = kinds[type] ?? .compatible }
}

// Enums of both sides. An entry that a table lacks falls back to the most restrictive value.

private let modes: [AnswerMode: RoutingMode] = [
    .onlyOnDevice: .onlyOnDevice, .preferOnDevice: .preferOnDevice, .preferInCloud: .preferInCloud,
    .onlyInCloud: .onlyInCloud,
]
private let sensitivities: [PrivacyLevel: Sensitivity] = [.open: .public, .personal: .personal, .secret: .sensitive]
private let presets: [AnswerPreset: SamplingPreset] = [.precise: .precise, .balanced: .balanced, .creative: .creative]
private let verdicts: [FitVerdict: FitLevel] = [.fits: .fits, .tight: .tight, .tooLarge: .tooLarge]
private let kinds: [ProviderType: ProviderKind] = [
    .openRouter: .openRouter, .deepSeek: .deepSeek, .groq: .groq, .fireworks: .fireworks, .openAI: .openAi,
    .ollama: .ollama, .llamaServer: .llamaServer, .compatible: .compatible,
]
