// Answers, downloads and loads as an `AsyncSequence`.

import Foundation

/// The chunks of an answer: `Chunk.started`, then reasoning, text, tool calls and citations, then `Chunk.done`. If a
/// target fails before any visible output, the next one emits its own `Chunk.started`.
public typealias ChatChunks = BatchSequence<ChatStream>

/// The events of a download, up to `DownloadEvent.installed`.
public typealias DownloadEvents = BatchSequence<DownloadStream>

/// Adjustments of the models on this device.
public typealias Adjustments = BatchSequence<AdjustmentStream>

/// The events of a load, up to `LoadEvent.loaded`.
public typealias LoadEvents = BatchSequence<LoadStream>

extension Nearside {
    /// Sends the request and streams the answer.
    ///
    /// Cancelling the task cancels the request; the loop then still receives `Chunk.done` with `StopReason.cancelled`.
    /// Leaving the loop early cancels it too. The loop throws a `NearsideError` after all chunks that preceded it.
    public func chat(_ request: ChatRequest) -> ChatChunks {
        BatchSequence { try self.startChat(request: request) }
    }

    /// Continues an interrupted answer on a remote target. `said` is the text so far; only what follows it is streamed.
    /// Routing runs again, and the user may have to consent.
    public func continueRemotely(_ request: ChatRequest, said: String) -> ChatChunks {
        BatchSequence { try self.startContinueRemotely(request: request, said: said) }
    }

    /// Downloads a model, resuming an earlier download.
    ///
    /// Cancelling the task or leaving the loop stops it, without `DownloadEvent.installed`; the partial file is kept.
    public func download(_ model: ModelRef) -> DownloadEvents {
        BatchSequence { try self.startDownload(model: model) }
    }

    /// Streams what the library does to the models on this device because of memory warnings, heat, power saving and the
    /// background: `for try await adjustment in nearside.adjustments() { … }`. Ends when the library is closed.
    public func adjustments() -> Adjustments {
        BatchSequence { try self.startAdjustments() }
    }

    /// Loads a model into memory, so that its next answer begins at once.
    ///
    /// Cancelling the task or leaving the loop ends it at once, without `LoadEvent.loaded`; an answer that waits for
    /// the model gets it nevertheless. The model stays as long as `Config.keepAliveMs` says, or until `unload(_:)`.
    public func load(_ model: ModelRef) -> LoadEvents {
        BatchSequence { try self.startLoad(model: model) }
    }

    /// Frees the memory of a model. Its answers end with `StopReason.cancelled`; the next request loads it again.
    public func unload(_ model: ModelRef) async throws {
        try await unload(model: model)
    }

    /// Reports whether a model fits this device, before any download: fetches only the head of the file, and keeps it.
    public func fit(_ model: ModelRef, options: FitOptions = FitOptions()) async throws -> FitReport {
        try await fit(model: model, options: options)
    }
}

/// A stream of the library, as a sequence of its elements.
///
/// Cold: each loop starts a request of its own. A slow consumer slows a provider or a download down; a model on this device
/// goes on, and its text waits. No element is dropped and memory stays bounded.
public struct BatchSequence<Source: BatchStream>: AsyncSequence, Sendable {
    public typealias Element = Source.Element

    let start: @Sendable () throws -> Source

    public func makeAsyncIterator() -> Iterator {
        Iterator(start: start)
    }

    /// Owns the stream. When the loop ends or is left, the iterator releases the stream, which cancels it.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        let start: @Sendable () throws -> Source
        private var source: Source?
        private var batch: ArraySlice<Element> = []

        init(start: @escaping @Sendable () throws -> Source) {
            self.start = start
        }

        public mutating func next() async throws -> Element? {
            if batch.isEmpty {
                let source = try self.source ?? start()
                self.source = source
                // Cancelling a Swift task does not cancel the Rust future that it awaits.
                batch = try await withTaskCancellationHandler {
                    try await source.nextBatch()[...]
                } onCancel: {
                    source.cancel()
                }
            }
            return batch.popFirst()
        }
    }
}

/// A pull-based, cancellable stream of batches: the source of a `BatchSequence`.
public protocol BatchStream: Sendable {
    associatedtype Element: Sendable

    /// Waits for one element and returns it with everything else already queued. Empty at the end.
    func nextBatch() async throws -> [Element]

    /// Cancels the stream. Idempotent and callable from any thread.
    func cancel()
}

extension ChatStream: BatchStream {}
extension DownloadStream: BatchStream {}
extension AdjustmentStream: BatchStream {}
extension LoadStream: BatchStream {}
