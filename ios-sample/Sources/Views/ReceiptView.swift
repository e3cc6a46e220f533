// The receipt under an answer: target, cost and speed in one line, data policy and reason on a tap.

import SwiftUI

struct ReceiptView: View {
    let receipt: AnswerReceipt
    @State private var isOpen = false

    var body: some View {
        DisclosureGroup(isExpanded: $isOpen) {
            VStack(alignment: .leading, spacing: Theme.tight) {
                line(Strings.model(), receipt.target.model)
                if let servedBy = receipt.servedBy { line(Strings.servedBy(), servedBy) }
                line(Strings.why(), receipt.reason)
                line(Strings.region(), receipt.dataPolicy.regionTitle)
                if !receipt.target.isDevice {
                    line(Strings.terms(), receipt.dataPolicy.summary)
                    if !receipt.dataPolicy.asOf.isEmpty { line(Strings.termsDate(), receipt.dataPolicy.asOf) }
                    if !receipt.dataPolicy.note.isEmpty { line(Strings.note(), receipt.dataPolicy.note) }
                }
                line(Strings.cost(), cost)
                line(Strings.tokens(), Strings.tokensInOut("\(receipt.promptTokens)", "\(receipt.answerTokens)"))
                line(Strings.firstWord(), Numbers.seconds(receipt.firstTokenSeconds))
                if let temperature = receipt.temperature {
                    line(Strings.temperature(), Numbers.temperature(temperature))
                }
                if let topP = receipt.topP { line(Strings.topP(), Numbers.temperature(topP)) }
                if !receipt.samplingReason.isEmpty { line(Strings.preset(), receipt.samplingReason) }
                if receipt.omittedMessages > 0 { line(Strings.omitted(), "\(receipt.omittedMessages)") }
                if let changed = receipt.readAgain {
                    line(
                        Strings.readAgain(),
                        changed == .systemPrompt ? Strings.readAgainSystem() : Strings.readAgainTools())
                }
                ForEach(receipt.rejected, id: \.self) { other in
                    line(Strings.passedOver(other.target.model), other.reason)
                }
                ForEach(receipt.rejectedMore, id: \.self) { more in
                    line(Strings.passedOverMore("\(more.count)"), more.rule.title)
                }
            }
            .padding(.top, Theme.tight)
        } label: {
            Label(summary, systemImage: receipt.target.symbol)
                .font(.footnote)
                .foregroundStyle(receipt.target.isDevice ? Theme.onDevice : Theme.remote)
                .accessibilityLabel(Strings.receiptLabel(summary))
        }
        .accessibilityIdentifier("chat.receipt")
    }

    private var summary: String {
        var parts = [receipt.target.title]
        if !receipt.target.isDevice { parts.append(receipt.dataPolicy.regionTitle) }
        parts.append(cost)
        if receipt.tokensPerSecond > 0 { parts.append(Numbers.rate(receipt.tokensPerSecond)) }
        return parts.joined(separator: " · ")
    }

    private var cost: String {
        if receipt.target.isDevice { return Strings.free() }
        let amount = Numbers.dollars(receipt.cost)
        return receipt.costIsCertain ? amount : Strings.about(amount)
    }

    private func line(_ title: String, _ value: String) -> some View {
        ViewThatFits {
            HStack(alignment: .firstTextBaseline) {
                Text(title).foregroundStyle(.secondary)
                Spacer(minLength: Theme.edge)
                Text(value).multilineTextAlignment(.trailing)
            }
            VStack(alignment: .leading) {
                Text(title).foregroundStyle(.secondary)
                Text(value)
            }
            .frame(maxWidth: .infinity, alignment: .leading)
        }
        .font(.footnote)
        .accessibilityElement(children: .combine)
    }
}

#if !os(Linux)
    #Preview("Local and remote") {
        List {
            ReceiptView(
                receipt: AnswerReceipt(
                    target: .device(model: "smollm2-360m"), reason: "installed and fits", tokensPerSecond: 31.4))
            ReceiptView(
                receipt: AnswerReceipt(
                    target: .provider(name: "openrouter", model: "deepseek/deepseek-v3.2"), servedBy: "Fireworks",
                    reason: "you agreed", dataPolicy: DemoContent.remoteDataPolicy, cost: 0.00018, tokensPerSecond: 61))
        }
    }
#endif
