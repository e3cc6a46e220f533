// A minimal HTTP server for app tests: one connection per request, one thread per connection. It listens on the
// loopback interface only.

import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#endif

/// Serves requests until `stop()`.
final class LoopbackServer: Sendable {
    let port: UInt16
    private let listener: Int32
    private let isStopped = Guarded(false)

    init(answer: @escaping @Sendable (RecordedRequest) -> RecordedExchange) throws {
        let listener = streamSocket()
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listens = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard listens else {
            let why = String(cString: strerror(errno))
            close(listener)
            throw NearsideError(
                kind: .network, reason: .unreachable, detail: "cannot listen on the loopback interface: \(why)")
        }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        let isStopped = isStopped
        Thread.detachNewThread {
            while true {
                let connection = accept(listener, nil, nil)
                guard !isStopped.with({ $0 }) else {
                    if connection >= 0 { close(connection) }
                    break
                }
                guard connection >= 0 else { continue }
                Thread.detachNewThread {
                    serveRequest(on: connection, answer)
                    close(connection)
                }
            }
            close(listener)
        }
    }

    /// Stops accepting connections. Idempotent.
    func stop() {
        let first = isStopped.with { isStopped in
            defer { isStopped = true }
            return !isStopped
        }
        guard first else { return }
        // Closing the socket does not wake a blocked `accept` on every system; a connection does.
        let waker = streamSocket()
        var address = loopback(port: port)
        _ = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(waker, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        close(waker)
    }
}

private func streamSocket() -> Int32 {
    #if canImport(Glibc)
        return socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
        return socket(AF_INET, SOCK_STREAM, 0)
    #endif
}

private func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
}

private func serveRequest(on connection: Int32, _ answer: (RecordedRequest) -> RecordedExchange) {
    guard let request = readRequest(from: connection) else { return }
    let exchange = answer(request)
    var head = "HTTP/1.1 \(exchange.status) Recorded\r\n"
    for header in exchange.headers { head += "\(header[0]): \(header[1])\r\n" }
    head += "connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    guard send(connection, Data(head.utf8)) else { return }
    for piece in exchange.pieces where !piece.isEmpty {
        let size = String(piece.count, radix: 16)
        guard send(connection, Data("\(size)\r\n".utf8) + piece + Data("\r\n".utf8)) else { return }
    }
    // Without the final chunk the client sees a truncated body.
    if exchange.isWhole { _ = send(connection, Data("0\r\n\r\n".utf8)) }
}

/// Reads one request; its body needs a `Content-Length`, as every JSON body has.
private func readRequest(from connection: Int32) -> RecordedRequest? {
    var received = Data()
    let blank = Data("\r\n\r\n".utf8)
    while received.range(of: blank) == nil {
        guard let more = receive(connection) else { return nil }
        received += more
    }
    guard let end = received.range(of: blank) else { return nil }
    let lines = String(decoding: received[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    let words = lines[0].components(separatedBy: " ")
    guard words.count == 3 else { return nil }
    let length = lines.lazy.compactMap { line -> Int? in
        let parts = line.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "content-length" else { return nil }
        return Int(parts[1].trimmingCharacters(in: .whitespaces))
    }.first
    var body = Data(received[end.upperBound...])
    while body.count < length ?? 0 {
        guard let more = receive(connection) else { return nil }
        body += more
    }
    return RecordedRequest(method: words[0], path: words[1], body: String(decoding: body, as: UTF8.self))
}

private func receive(_ connection: Int32) -> Data? {
    var bytes = [UInt8](repeating: 0, count: 16_384)
    let count = recv(connection, &bytes, bytes.count, 0)
    return count > 0 ? Data(bytes[..<count]) : nil
}

private func send(_ connection: Int32, _ data: Data) -> Bool {
    // Writing to a closed connection must not raise SIGPIPE.
    #if canImport(Darwin)
        var on: Int32 = 1
        setsockopt(connection, SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout<Int32>.size))
        let flags: Int32 = 0
    #else
        let flags = Int32(MSG_NOSIGNAL)
    #endif
    return data.withUnsafeBytes { bytes in
        var sent = 0
        while sent < bytes.count {
            let count = send(connection, bytes.baseAddress?.advanced(by: sent), bytes.count - sent, flags)
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
