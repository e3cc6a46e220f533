import Foundation
@_spi(Testing) import NearsideKit
import Testing

extension Scenarios {
    /// Answers as values of the app's own types.
    @Suite struct GenerateTests {
        @Test func anAnswerIsAValueOfTheAppsOwnType() async throws {
            let written =
                #"{"name":"Tea","minutes":4,"steps":["Boil water.","Wait."],"kind":"hot drink","note":null}"#
            let nearside = try scripted(.reasoning(text: "Tea, then."), .text(text: written))
            let recipe = try await nearside.generate(ask("How do I make tea?"), as: Recipe.self)

            #expect(recipe.name == "Tea")
            #expect(recipe.minutes == 4)
            #expect(recipe.steps == ["Boil water.", "Wait."])
            #expect(recipe.kind == .hotDrink)
            #expect(recipe.note == nil)
        }

        @Test func aRealModelKeepsToTheTypesShape() async throws {
            let nearside = try Nearside(directory: .init(fileURLWithPath: freshDirectory()))
            let question = ChatMessage.user(
                "Tell me about the city of Paris: its name, its country, and whether it is a capital.")
            let city = try await nearside.generate(greedy(question, maxTokens: 200), as: City.self)

            #expect(!city.name.isEmpty && !city.country.isEmpty, "\(city)")
        }

        @Test func anAnswerThatIsCutOffIsNoValue() async throws {
            let nearside = try Nearside(directory: .init(fileURLWithPath: freshDirectory()))
            let error = await refusal {
                _ = try await nearside.generate(
                    greedy(.user("How do I make tea?"), maxTokens: 4), as: Recipe.self)
            }
            #expect(error == .cutOff(stop: .maxTokens))
            #expect(error?.localizedDescription.contains("before it was whole") == true)
            #expect(error?.recoverySuggestion?.contains("more tokens") == true)
        }

        @Test func anAnswerOfAnotherShapeIsNoValueAndIsNotQuoted() async throws {
            let answers = [
                (#"{"name":"canary"}"#, "minutes"), ("canary", ""),
                (#"{"name":"canary","minutes":"canary"}"#, "minutes"),
            ]
            for (written, path) in answers {
                let nearside = try scripted(.text(text: written))
                let error = await refusal { _ = try await nearside.generate(ask("Tea?"), as: Recipe.self) }

                #expect(error == .mismatch(type: "Recipe", path: path))
                let texts = try #require(error.map { ["\($0)", "\($0.localizedDescription)"] })
                #expect(!texts.joined().contains("canary"))
            }
        }

        @Test func aTypeThatNoModelCanBeHeldToIsRefusedBeforeAnythingIsAsked() async throws {
            let nearside = try scripted(.stall)
            let error = await refusal { _ = try await nearside.generate(ask("What is there to eat?"), as: Menu.self) }

            guard case .indescribable("Menu", "parts.[]", let remedy) = error else {
                Issue.record("it is \(error as Any)")
                return
            }
            #expect(remedy.contains("contains itself") && remedy.contains("JSONSchemaConvertible"))
        }

        private func ask(_ question: String) -> ChatRequest {
            ChatRequest(messages: [.user(question)])
        }

        private func refusal(of call: () async throws -> Void) async -> GenerateError? {
            do {
                try await call()
                Issue.record("no error at all")
                return nil
            } catch {
                if error as? GenerateError == nil { Issue.record("another error: \(error)") }
                return error as? GenerateError
            }
        }
    }
}

private struct Recipe: Codable {
    enum Kind: String, Codable, CaseIterable {
        case hotDrink = "hot drink"
        case dish
    }

    let name: String
    let minutes: Int
    let steps: [String]
    let kind: Kind
    let note: String?
}

private struct City: Codable {
    let name: String
    let country: String
    let capital: Bool
}

private struct Menu: Codable {
    let parts: [Menu]
}
