//! Images that are whole in their structure, and show nothing.

/// Returns a PNG of this size with these bytes as its compressed pixels. Its checksums are 0: the library reads none.
pub fn png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let chunk = |kind: &[u8], content: &[u8]| [&(content.len() as u32).to_be_bytes(), kind, content, &[0; 4]].concat();
    let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")];
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunks.concat()].concat()
}
