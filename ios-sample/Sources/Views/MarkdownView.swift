// Renders Markdown: selectable text, code in a box with its language and a copy button.

import Foundation
import SwiftUI

struct MarkdownView: View {
    let text: String

    var body: some View {
        VStack(alignment: .leading, spacing: Theme.gap) {
            ForEach(Array(Markdown(text).blocks.enumerated()), id: \.offset) { _, block in
                BlockView(block: block)
            }
        }
        .textSelection(.enabled)
    }
}

private struct BlockView: View {
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

/// Joins the runs to one text, so that it wraps and is read out as a whole.
private func inline(_ runs: [InlineRun]) -> Text {
    runs.reduce(Text(verbatim: "")) { text, run in
        var part = Text(verbatim: run.text)
        if let link = run.link.flatMap(URL.init(string:)) {
            var linked = AttributedString(run.text)
            linked.link = link
            part = Text(linked)
        }
        if run.style.contains(.bold) { part = part.bold() }
        if run.style.contains(.italic) { part = part.italic() }
        if run.style.contains(.struck) { part = part.strikethrough() }
        if run.style.contains(.code) { part = part.monospaced() }
        return text + part
    }
}

#if !os(Linux)
    #Preview {
        ScrollView {
            MarkdownView(
                text: """
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
            )
            .padding()
        }
    }
#endif
