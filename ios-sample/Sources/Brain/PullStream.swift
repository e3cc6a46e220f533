// The stream of answers and downloads.

/// A pull-based stream. Unlike `AsyncThrowingStream` it does not end when its task is cancelled, so that the last chunk
/// of a stopped answer, with the receipt, still arrives.
struct PullStream<Element: Sendable>: AsyncSequence, Sendable {
    typealias Next = () async throws -> Element?

    let start: @Sendable () -> Next

    func makeAsyncIterator() -> Iterator { Iterator(pull: start()) }

    struct Iterator: AsyncIteratorProtocol {
        let pull: Next

        func next() async throws -> Element? { try await pull() }
    }
}
