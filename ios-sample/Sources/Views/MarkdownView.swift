// Renders blocks of Markdown: selectable text, code in a box with its language and a copy button. Views parse nothing:
// blocks come from a model. While an answer grows, only the views of blocks that changed are evaluated.

import Foundation
import SwiftUI

struct MarkdownView: View {
    let blocks: [MarkdownBlock]

    var body: some View {
        VStack(alignment: .leading, spacing: Theme.gap) {
            // A block keeps its index while the text grows.
            ForEach(Array(blocks.enumerated()), id: \.offset) { _, block in
                BlockView(block: block).equatable()
            }
        }
        .textSelection(.enabled)
    }
}

private struct BlockView: View, Equatable {
    let block: MarkdownBlock

    var body: some View {
        switch block {
        case .heading(let level, let runs):
            inline(runs).font(level == 1 ? .title2 : level == 2 ? .title3 : .headline).bold()
                .accessibilityAddTraits(.isHeader)
        case .paragraph(let runs): inline(runs)
        case .list(let items): ListView(items: items)
        case .quote(let runs):
            inline(runs)
                .foregroundStyle(.secondary)
                .padding(.leading, Theme.gap)
                .overlay(alignment: .leading) { Rectangle().fill(Theme.accent).frame(width: 3) }
        case .table(let header, let rows): TableView(header: header, rows: rows)
        case .code(let language, let text, let isClosed): CodeView(language: language, text: text, isClosed: isClosed)
        case .rule: Divider()
        }
    }
}

private struct ListView: View {
    let items: [ListItem]

    var body: some View {
        VStack(alignment: .leading, spacing: Theme.tight) {
            ForEach(Array(items.enumerated()), id: \.offset) { _, item in
                HStack(alignment: .firstTextBaseline, spacing: Theme.tight) {
                    Text(verbatim: item.marker).monospacedDigit().foregroundStyle(.secondary)
                    inline(item.runs)
                }
                .padding(.leading, Double(item.depth) * Theme.edge)
                .accessibilityElement(children: .combine)
            }
        }
    }
}

private struct TableView: View {
    let header: [[InlineRun]]
    let rows: [[[InlineRun]]]

    var body: some View {
        ScrollView(.horizontal) {
            Grid(alignment: .leading, horizontalSpacing: Theme.edge, verticalSpacing: Theme.tight) {
                GridRow { cells(header) }.font(.subheadline.weight(.semibold))
                Divider()
                ForEach(Array(rows.enumerated()), id: \.offset) { _, row in
                    GridRow { cells(row) }.font(.subheadline)
                }
            }
        }
        .card()
    }

    private func cells(_ cells: [[InlineRun]]) -> some View {
        ForEach(Array(cells.enumerated()), id: \.offset) { _, cell in inline(cell) }
    }
}

private struct CodeView: View {
    let language: String
    let text: String
    let isClosed: Bool
    @State private var isCopied = false

    var body: some View {
        VStack(alignment: .leading, spacing: 0) {
            HStack {
                Text(verbatim: language.isEmpty ? Strings.code() : language)
                    .font(.caption.weight(.medium))
                    .foregroundStyle(.secondary)
                Spacer()
                Button {
                    Clipboard.copy(text)
                    isCopied = true
                } label: {
                    Label(
                        isCopied ? Strings.copied() : Strings.copy(), systemImage: isCopied ? "checkmark" : "doc.on.doc"
                    )
                    .font(.caption)
                }
                .disabled(!isClosed)
                .accessibilityIdentifier("code.copy")
            }
            .padding(.horizontal, Theme.edge)
            .padding(.vertical, 10)
            Divider()
            ScrollView(.horizontal) {
                Text(verbatim: text)
                    .font(.footnote.monospaced())
                    .padding(Theme.edge)
            }
        }
        .background(Theme.surface, in: RoundedRectangle(cornerRadius: Theme.corner))
        .task(id: isCopied) {
            guard isCopied, (try? await Task.sleep(for: .seconds(2))) != nil else { return }
            isCopied = false
        }
    }
}

/// Joins the runs to one text, so that it wraps and is read out as a whole. Not a sum of texts: a paragraph can have
/// thousands of runs, and a sum is as deep as it is long.
private func inline(_ runs: [InlineRun]) -> Text {
    var text = AttributedString()
    for run in runs {
        var part = AttributedString(run.text)
        if !run.style.isEmpty { part.inlinePresentationIntent = run.style.intent }
        part.link = run.link.flatMap(URL.init(string:))
        text += part
    }
    return Text(text)
}

extension InlineRun.Style {
    fileprivate var intent: InlinePresentationIntent {
        let intents: [(InlineRun.Style, InlinePresentationIntent)] = [
            (.bold, .stronglyEmphasized), (.italic, .emphasized), (.code, .code), (.struck, .strikethrough),
        ]
        return intents.reduce(into: []) { if contains($1.0) { $0.insert($1.1) } }
    }
}

#if !os(Linux)
    #Preview {
        ScrollView {
            MarkdownView(
                blocks: Markdown(
                    """
                    ## Tides
                    Two *bulges*, **twice** a day, `12 h 25 min`.
                    - one
                      - two
                    > quoted

                    | sea | high |
                    |---|---|
                    | North | 3 m |

                    ```swift
                    let tides = 2
                    """
                ).blocks
            )
            .padding()
        }
    }
#endif
