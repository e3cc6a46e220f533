// Amounts of money as text, in the separators of a locale.
//
// The parser is strict, because the amount is a limit of spending: a lenient one reads "0,25" as 25 where the comma
// groups digits. Text that the formatter writes is always read as the same amount.

import Foundation

enum Amount {
    static func text(_ dollars: Double, _ locale: Locale) -> String {
        dollars.formatted(.number.precision(.fractionLength(0...6)).locale(locale))
    }

    /// Parses an amount that is not negative, with or without grouping: 1,234,567.8, 12,34,567.8, 1 234 567,8. Returns
    /// `nil` for anything else.
    static func parse(_ text: String, _ locale: Locale) -> Double? {
        let decimal = locale.decimalSeparator ?? "."
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        let parts = trimmed.components(separatedBy: decimal)
        guard parts.count <= 2, let whole = parts.first.flatMap({ digits($0, groupedBy: locale.groupingSeparator) }),
            let fraction = parts.count == 2 ? digits(parts[1], groupedBy: nil) : "", !(whole + fraction).isEmpty
        else { return nil }
        return Double("0\(whole).\(fraction)0")
    }

    /// Returns the digits as ASCII. The last group has three, the others two or three, the first one to three.
    private static func digits(_ text: String, groupedBy separator: String?) -> String? {
        let groups = text.split(omittingEmptySubsequences: false) { character in
            guard let separator else { return false }
            return isSame(String(character), separator)
        }
        if groups.count > 1 {
            guard groups.last?.count == 3, let first = groups.first, (1...3).contains(first.count),
                groups.dropFirst().allSatisfy({ (2...3).contains($0.count) })
            else { return nil }
        }
        let values = groups.joined().map { $0.isNumber ? $0.wholeNumberValue : nil }
        guard values.allSatisfy({ $0.map { (0...9).contains($0) } ?? false }) else { return nil }
        return values.map { "\($0 ?? 0)" }.joined()
    }

    /// Locales group by several kinds of spaces and apostrophes, and keyboards have one of each.
    private static func isSame(_ mark: String, _ separator: String) -> Bool {
        let apostrophes = ["'", "’"]
        return mark == separator || (mark.allSatisfy(\.isWhitespace) && separator.allSatisfy(\.isWhitespace))
            || (apostrophes.contains(mark) && apostrophes.contains(separator))
    }
}
