//! The memory that a request with pictures takes on its way to a provider: they are encoded once and copied nowhere else.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use nearside::chat::{ChatMessage, ChatRequest, ContentPart, MessageRole, RoutingMode};
use nearside_tests::device::{Device, DeviceAnswer};
use nearside_tests::images::png;
use nearside_tests::provider::Dialect;
use nearside_tests::remote::settings;

const PICTURES: usize = 5;
const PICTURE_BYTES: usize = 3 << 20;

/// Returns a value of `/proc/self/status` in bytes.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find(|line| line.starts_with(name)).expect(name);
    let kilobytes = line
        .split_whitespace()
        .nth(1)
        .and_then(|value| value.parse::<u64>().ok());
    kilobytes.expect("a number") * 1024
}

/// Starts the measurement of the peak anew.
fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak is reset");
}

/// Reads a request without keeping it, and answers.
fn answer(mut connection: TcpStream) {
    let (mut buffer, mut head) = (vec![0; 64 << 10], Vec::new());
    let end = loop {
        let read = connection.read(&mut buffer).expect("a request");
        if read == 0 {
            return;
        }
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let Some(length) = length.and_then(|value| value.parse::<usize>().ok()) else {
        // The list of models.
        let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return connection.write_all(none).expect("a client");
    };
    assert!(length > PICTURES * PICTURE_BYTES, "{length}");
    let mut missing = length - (head.len() - end);
    while missing > 0 {
        missing -= connection.read(&mut buffer).expect("a body");
    }
    let body = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Cats.\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n"
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).expect("a client");
    connection.write_all(body.as_bytes()).expect("a client");
}

#[tokio::test]
async fn fifteen_megabytes_of_pictures_are_encoded_once_and_copied_nowhere_else() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", server.local_addr().expect("an address"));
    std::thread::spawn(move || server.incoming().flatten().for_each(answer));
    let device = Device::new(512).await;
    let mut settings = settings(Dialect::Compatible, &url);
    settings.model = Some("eyes".into());
    device.add(settings).await;

    let picture = |seed: usize| {
        let pixels: Vec<u8> = (0..PICTURE_BYTES).map(|at| (at * 31 + seed) as u8).collect();
        ContentPart::Image {
            media_type: "image/png".into(),
            data: png(1024, 1024, &pixels).into(),
        }
    };
    let mut message = ChatMessage::user("What is this?");
    message.parts.extend((0..PICTURES).map(picture));
    assert_eq!(message.role, MessageRole::User);
    let request = ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        ..ChatRequest::new(vec![message])
    };
    reset_peak();
    let before = status("VmRSS");
    let stream = device.nearside.chat(request);
    let answer = DeviceAnswer::read(&stream).await;
    let grown = status("VmHWM").saturating_sub(before) >> 20;
    answer.done();
    println!("peak: {grown} MB above the request");
    // Twice 20 MB: as base64 in the body's values, and in the bytes that are sent.
    assert!(grown < 52, "{grown} MB");
}
