// Checks of the source files: each language has all texts, one brain imports the library, models import no view.

import Foundation
import Testing

@testable import NearsideSample

struct FilesTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()

    private struct Catalogue: Decodable {
        struct Entry: Decodable { let localizations: [String: Localization] }
        struct Localization: Decodable { let stringUnit: Unit }
        struct Unit: Decodable { let value: String }
        let strings: [String: Entry]
    }

    private func sources() throws -> [(name: String, folder: String, text: String)] {
        let files = try #require(
            FileManager.default.enumerator(
                at: Self.root.appendingPathComponent("Sources"), includingPropertiesForKeys: nil))
        return try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }.map {
            let folder = $0.deletingLastPathComponent().lastPathComponent
            return ($0.lastPathComponent, folder, try String(contentsOf: $0, encoding: .utf8))
        }
    }

    @Test func everyTextIsThereInEnglishAndRussianWithTheSameValues() throws {
        let data = try Data(contentsOf: Self.root.appendingPathComponent("App/Localizable.xcstrings"))
        let catalogue = try JSONDecoder().decode(Catalogue.self, from: data)
        #expect(Set(catalogue.strings.keys) == Set(Strings.allCases.map(\.rawValue)))
        for (key, entry) in catalogue.strings {
            let english = try #require(entry.localizations["en"]?.stringUnit.value, "\(key) in English")
            let russian = try #require(entry.localizations["ru"]?.stringUnit.value, "\(key) in Russian")
            #expect(!english.isEmpty && !russian.isEmpty, "\(key)")
            for value in ["%1$@", "%2$@", "%3$@"] {
                #expect(english.contains(value) == russian.contains(value), "\(key): \(value)")
            }
        }
    }

    @Test func everyTextIsUsed() throws {
        let views = try sources().map(\.text).joined()
        for key in Strings.allCases { #expect(views.contains("Strings.\(key.rawValue)("), "\(key.rawValue)") }
    }

    @Test func noTextIsWrittenIntoAScreen() throws {
        // Visible texts come from `Strings`; literals are addresses and formats.
        let literal = try Regex(#"(Text|Button|Label|Toggle|navigationTitle|Section)\("[A-Za-z]"#)
        for file in try sources() where file.folder == "Views" {
            let code = file.text.components(separatedBy: "#if !os(Linux)").first ?? ""
            #expect(code.firstMatch(of: literal) == nil, "\(file.name)")
        }
    }

    @Test func oneBrainImportsTheLibraryAndModelsImportNoView() throws {
        let files = try sources()
        let callers = files.filter { $0.text.contains("import NearsideKit\n") }.map(\.name)
        #expect(Set(callers) == ["NearsideBrain.swift", "NearsideErrors.swift", "NearsideTypes.swift"])
        for file in files where file.folder != "Views" {
            #expect(!file.text.contains("import SwiftUI"), "\(file.name)")
        }
    }

    @Test func valuesAreFilledIn() {
        // Without a bundle the text is its key.
        #expect(Strings.versionOf("1", "2") == "versionOf")
        let american = Locale(identifier: "en_US")
        #expect(Numbers.dollars(0, locale: american) == "$0.00")
        #expect(Numbers.dollars(0.00042, locale: american) == "$0.00042")
        #expect(Numbers.dollars(1.5, locale: american) == "$1.50")
    }
}
