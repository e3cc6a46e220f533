// What an app loops over: an answer and a download as an `AsyncSequence`.

import Foundation
@_exported import NearsideGenerated

/// The chunks of an answer: `Chunk.started`, then reasoning, text, tool calls and citations, then `Chunk.done`. Where a
/// place fails before it said anything the next one begins with a `Chunk.started` of its own.
public typealias ChatChunks = Batches<ChatStream>

/// The steps of a download, up to `DownloadEvent.installed`.
public typealias DownloadEvents = Batches<DownloadStream>

extension Nearside {
    /// Sends the request and streams the answer.
    ///
    /// Cancelling the task cancels the request; the loop then still receives `Chunk.done` with `StopReason.cancelled`.
    /// Leaving the loop early cancels it too. The loop throws a `NearsideError` after all chunks that came before it.
    public func chat(_ request: ChatRequest) -> ChatChunks {
        Batches { try self.startChat(request: request) }
    }

    /// Continues an interrupted answer on a remote target. `said` is the text so far; only what follows it is streamed.
    /// Routing runs again, and the user may have to consent.
    public func continueRemotely(_ request: ChatRequest, said: String) -> ChatChunks {
        Batches { try self.startContinueRemotely(request: request, said: said) }
    }

    /// Downloads a model, resuming an earlier download.
    ///
    /// Cancelling the task or leaving the loop stops it, without `DownloadEvent.installed`; what came is kept.
    public func download(_ model: ModelRef) -> DownloadEvents {
        Batches { try self.startDownload(model: model) }
    }

    /// Whether a model fits this device, before any download: only the head of the file is fetched, and kept.
    public func fit(_ model: ModelRef, options: FitOptions = FitOptions()) async throws -> FitReport {
        try await fit(model: model, options: options)
    }
}

/// A stream of the library, element by element.
///
/// Cold: each loop starts a request of its own. A slow loop slows the model down; nothing is lost and memory does not
/// grow.
public struct Batches<Source: BatchSource>: AsyncSequence, Sendable {
    public typealias Element = Source.Element

    let start: @Sendable () throws -> Source

    public func makeAsyncIterator() -> Iterator {
        Iterator(start: start)
    }

    /// Owns the stream. When a loop ends or is left the iterator goes, the stream with it, and that cancels.
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
                // A Swift task that is cancelled does not cancel the Rust future that it waits for.
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

/// What `Batches` loops over: a stream that is pulled and can be cancelled.
public protocol BatchSource: Sendable {
    associatedtype Element: Sendable

    /// Waits for one element and takes whatever else is there. Empty: it is over.
    func nextBatch() async throws -> [Element]

    /// Stops the work, from any thread and as often as you like.
    func cancel()
}

extension ChatStream: BatchSource {}
extension DownloadStream: BatchSource {}
