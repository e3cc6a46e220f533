// The theme: colours from the asset catalogue for light, dark and high contrast, and a scale of distances. Type uses
// the system's text styles, so that it follows the user's text size.

import SwiftUI

enum Theme {
    static let accent = Color("Accent")
    /// Background of user messages.
    static let bubble = Color("Bubble")
    /// Background of code, receipts and cards.
    static let surface = Color("Surface")
    /// Marks this device.
    static let onDevice = Color("OnDevice")
    /// Marks remote targets.
    static let remote = Color("Remote")
    static let caution = Color("Caution")

    static let tight = 6.0
    static let gap = 12.0
    static let edge = 16.0
    static let wide = 24.0
    static let corner = 16.0
    /// Maximum line width for reading.
    static let column = 680.0
}

extension FitLevel {
    var title: String {
        switch self {
        case .fits: Strings.fits()
        case .tight: Strings.tight()
        case .tooLarge: Strings.tooLarge()
        }
    }

    var color: Color {
        switch self {
        case .fits: Theme.onDevice
        case .tight: Theme.caution
        case .tooLarge: .red
        }
    }

    var symbol: String {
        switch self {
        case .fits: "checkmark.circle.fill"
        case .tight: "exclamationmark.triangle.fill"
        case .tooLarge: "xmark.octagon.fill"
        }
    }
}

/// A verdict as text and colour, never as colour alone.
struct VerdictBadge: View {
    let verdict: FitLevel

    var body: some View {
        Label(verdict.title, systemImage: verdict.symbol)
            .font(.caption.weight(.semibold))
            .foregroundStyle(verdict.color)
            .padding(.horizontal, 8)
            .padding(.vertical, 4)
            .background(verdict.color.opacity(0.14), in: Capsule())
    }
}

extension View {
    /// Styles a view as a card.
    func card() -> some View {
        padding(Theme.edge)
            .frame(maxWidth: .infinity, alignment: .leading)
            .background(Theme.surface, in: RoundedRectangle(cornerRadius: Theme.corner))
    }
}
