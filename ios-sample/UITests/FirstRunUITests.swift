// From the first start to an answer, driven as a user would: once in the demo, once with SmolLM2.
//
// In Xcode only. The second test needs a hub that serves the model, such as `nearside-hub` on the Mac that runs the
// simulator; NEARSIDE_HUB holds its address. Without it the test fails with a message.

import XCTest

@MainActor
final class FirstRunUITests: XCTestCase {
    private let app = XCUIApplication()

    override func setUp() async throws {
        continueAfterFailure = false
    }

    func testTheDemoLeadsFromTheFirstRunToAnAnswer() {
        app.launchArguments = ["-demo", "-fresh", "-AppleLanguages", "(en)"]
        app.launch()
        tap(app.buttons["first.download"])
        ask("Why do the tides come twice a day?")
        XCTAssertTrue(text("bulges").waitForExistence(timeout: 20), "no answer")
        XCTAssertTrue(app.descendants(matching: .any)["chat.receipt"].waitForExistence(timeout: 20), "no receipt")

        tap(app.buttons["first.done"])
        XCTAssertTrue(app.tabBars.firstMatch.waitForExistence(timeout: 5), "the first run does not end")
    }

    func testAnAnswerCanBeStoppedAndContinued() {
        app.launchArguments = ["-demo", "-AppleLanguages", "(en)"]
        app.launch()
        tap(app.buttons["chats.new"])
        ask("Hello")
        tap(app.buttons["chat.stop"])
        tap(app.buttons["chat.continue"])
        XCTAssertTrue(text("works on a plane").waitForExistence(timeout: 20), "it does not go on")
    }

    func testConsentIsRequestedBeforeContentLeaves() {
        app.launchArguments = ["-demo", "-AppleLanguages", "(en)"]
        app.launch()
        tap(app.buttons["chats.new"])
        ask(String(repeating: "A long letter. ", count: 120))
        tap(app.buttons["ask.refuse"])
        XCTAssertTrue(app.buttons["chat.send"].waitForExistence(timeout: 5))
        XCTAssertFalse(app.descendants(matching: .any)["chat.receipt"].exists, "it was sent all the same")
        tap(app.buttons["failure.askAgain"])
        tap(app.buttons["ask.accept"])
        XCTAssertTrue(app.descendants(matching: .any)["chat.receipt"].waitForExistence(timeout: 20), "no receipt")
    }

    func testARealModelAnswersOnTheDevice() throws {
        let hub = try XCTUnwrap(
            ProcessInfo.processInfo.environment["NEARSIDE_HUB"],
            "start `nearside-hub --repo sample/SmolLM2-GGUF --file smollm2.gguf` and put its address into NEARSIDE_HUB")
        app.launchArguments = ["-AppleLanguages", "(en)"]
        app.launchEnvironment = [
            "NEARSIDE_HUB": hub, "NEARSIDE_DIRECTORY": NSTemporaryDirectory() + UUID().uuidString,
        ]
        app.launch()
        let reference = app.textFields["first.reference"]
        XCTAssertTrue(reference.waitForExistence(timeout: 30), "no field for a reference")
        while !reference.isHittable { app.swipeUp() }
        reference.tap()
        reference.typeText("hf:sample/SmolLM2-GGUF/smollm2.gguf\n")
        tap(app.buttons["first.download"])
        ask("Tell me about the sea.")
        XCTAssertTrue(app.descendants(matching: .any)["chat.answer"].waitForExistence(timeout: 120), "no answer")
        // The answer may have ended already.
        if app.buttons["chat.stop"].exists { app.buttons["chat.stop"].tap() }
        XCTAssertTrue(app.descendants(matching: .any)["chat.receipt"].waitForExistence(timeout: 60), "no receipt")
    }

    private func ask(_ question: String) {
        let field = app.descendants(matching: .any)["chat.field"].firstMatch
        XCTAssertTrue(field.waitForExistence(timeout: 120), "no field to type into")
        field.tap()
        field.typeText(question)
        tap(app.buttons["chat.send"])
    }

    private func tap(_ element: XCUIElement) {
        XCTAssertTrue(element.waitForExistence(timeout: 30), "\(element) is not there")
        XCTAssertTrue(element.wait(for: \.isEnabled, toEqual: true, timeout: 60), "\(element) cannot be tapped")
        element.tap()
    }

    private func text(_ words: String) -> XCUIElement {
        app.staticTexts.containing(NSPredicate(format: "label CONTAINS %@", words)).firstMatch
    }
}
