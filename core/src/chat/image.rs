//! Checks images before they are sent: type, size in bytes, completeness and size in pixels.
//!
//! Only the structure is read, nothing is decoded: a provider rejects or silently ignores an image that is damaged, and
//! bills for it. The type is that of the content, whatever the file is called.

use super::message::{ChatMessage, ContentPart, MessageRole};
use crate::error::{Error, Result};
use crate::format::format_bytes;

/// Returns the media type that the first bytes of an image show; `None` if it is no PNG, JPEG, WebP or GIF.
pub fn image_media_type(data: &[u8]) -> Option<&'static str> {
    let is_webp = data.starts_with(b"RIFF") && data.get(8..12) == Some(b"WEBP".as_slice());
    let signatures: [(&[u8], &str); 4] = [
        (PNG_SIGNATURE, PNG),
        (b"\xff\xd8\xff", JPEG),
        (b"GIF87a", GIF),
        (b"GIF89a", GIF),
    ];
    let found = signatures.into_iter().find(|(start, _)| data.starts_with(start));
    found.map(|(_, media_type)| media_type).or(is_webp.then_some(WEBP))
}

/// Rejects images that no provider can use, in the messages that are new: those after the last answer.
pub(super) fn check_new_images(messages: &[ChatMessage]) -> Result<()> {
    let new = messages.iter().rev();
    let new = new.take_while(|message| message.role != MessageRole::Assistant);
    for part in new.flat_map(|message| &message.parts) {
        if let ContentPart::Image { media_type, data } = part {
            check_image(media_type, data).map_err(|why| Error::invalid_request(format!("an image {why}")))?;
        }
    }
    Ok(())
}

/// Rejects an image that no provider can use. The error follows "an image".
fn check_image(media_type: &str, data: &[u8]) -> Result<(), String> {
    if data.len() > MAX_IMAGE_BYTES {
        let (size, most) = (format_bytes(data.len() as u64), format_bytes(MAX_IMAGE_BYTES as u64));
        return Err(format!("has {size}; scale it down to at most {most}"));
    }
    let Some(content) = image_media_type(data) else {
        return Err("is no PNG, JPEG, WebP or GIF; convert it".to_owned());
    };
    if content != media_type {
        return Err(format!(
            "is called `{media_type}`, and its content is `{content}`; correct its type"
        ));
    }
    let size = match content {
        PNG => png_size(data),
        JPEG => jpeg_size(data),
        GIF => gif_size(data),
        _ => webp_size(data),
    };
    let Some((width, height)) = size else {
        return Err("is damaged or incomplete; take another copy of it".to_owned());
    };
    let (least, most) = (width.min(height), width.max(height));
    if least < MIN_IMAGE_SIDE {
        return Err(format!(
            "has {width} × {height} pixels, and a model sees nothing in fewer than {MIN_IMAGE_SIDE} on a side; take a larger one"
        ));
    }
    if most > MAX_IMAGE_SIDE {
        return Err(format!(
            "has {width} × {height} pixels; scale it down to at most {MAX_IMAGE_SIDE} on a side"
        ));
    }
    Ok(())
}

/// Returns width and height; `None` unless all chunks are there, with pixels among them.
fn png_size(data: &[u8]) -> Option<(u32, u32)> {
    let mut rest = data.strip_prefix(PNG_SIGNATURE)?;
    let (mut size, mut has_pixels) = (None, false);
    loop {
        let length = be32(rest, 0)? as usize;
        let kind = rest.get(4..8)?;
        let content = rest.get(8..length.checked_add(8)?)?;
        match kind {
            b"IHDR" if size.is_none() => size = Some((be32(content, 0)?, be32(content, 4)?)),
            b"IDAT" => has_pixels |= !content.is_empty(),
            b"IEND" => return size.filter(|_| has_pixels),
            _ => {}
        }
        // The header is the first chunk. A checksum follows each.
        size?;
        rest = rest.get(length + 12..)?;
    }
}

/// Returns width and height; `None` unless a frame header precedes pixels and the end marker follows.
fn jpeg_size(data: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    let mut size = None;
    loop {
        if *data.get(at)? != 0xff {
            return None;
        }
        let marker = *data.get(at + 1)?;
        match marker {
            // Fill bytes.
            0xff => {
                at += 1;
                continue;
            }
            // Pixels follow: the rest is searched for the end, which may be followed by other data.
            0xda => {
                let pixels = data.get(at..)?;
                return size.filter(|_| pixels.windows(2).any(|pair| pair == b"\xff\xd9"));
            }
            // Frame headers; 0xc4, 0xc8 and 0xcc are others.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                size = Some((be16(data, at + 7)?, be16(data, at + 5)?));
            }
            _ => {}
        }
        let length = be16(data, at + 2)? as usize;
        at += 2 + length.max(2);
    }
}

/// Returns width and height; `None` unless an image and the trailer follow the header.
fn gif_size(data: &[u8]) -> Option<(u32, u32)> {
    let le16 = |at: usize| Some(u32::from(*data.get(at)?) | u32::from(*data.get(at + 1)?) << 8);
    let body = data.get(13..)?;
    // An image descriptor, and the trailer behind it.
    let image = body.iter().position(|byte| *byte == 0x2c)?;
    body[image..].contains(&0x3b).then_some((le16(6)?, le16(8)?))
}

/// Returns width and height; `None` if the file is shorter than its header says.
fn webp_size(data: &[u8]) -> Option<(u32, u32)> {
    let le = |at: usize, bytes: usize| {
        let bytes = data.get(at..at + bytes)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0_u32, |value, byte| value << 8 | u32::from(*byte)),
        )
    };
    if data.len() < (le(4, 4)? as usize).checked_add(8)? {
        return None;
    }
    match data.get(12..16)? {
        b"VP8X" => Some((le(24, 3)? + 1, le(27, 3)? + 1)),
        b"VP8L" => {
            let bits = le(21, 4)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((le(26, 2)? & 0x3fff, le(28, 2)? & 0x3fff)),
        _ => None,
    }
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn be16(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(2)?)?;
    Some(u32::from(u16::from_be_bytes(bytes.try_into().ok()?)))
}

/// Maximum size of an image; providers accept less or as much.
pub const MAX_IMAGE_BYTES: usize = 20_000_000;
/// Minimum pixels of a side. Vision models cut an image into patches of 14 to 32.
const MIN_IMAGE_SIDE: u32 = 8;
/// Maximum pixels of a side; the largest cameras have 16,320.
const MAX_IMAGE_SIDE: u32 = 16_384;

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const PNG: &str = "image/png";
const JPEG: &str = "image/jpeg";
const GIF: &str = "image/gif";
const WEBP: &str = "image/webp";

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a PNG of this size with some bytes as its pixels. Checksums are not read.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
        header.extend([8, 2, 0, 0, 0]);
        let chunk =
            |kind: &[u8], content: &[u8]| [&(content.len() as u32).to_be_bytes(), kind, content, &[0; 4]].concat();
        let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", b"pixels"), chunk(b"IEND", b"")];
        [PNG_SIGNATURE, &chunks.concat()].concat()
    }

    fn jpeg() -> Vec<u8> {
        let frame = [0xff, 0xc0, 0, 11, 8, 0, 48, 0, 64, 1, 1, 0x11, 0];
        let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 1, 2, 3, 0xff, 0xd9];
        [&[0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0][..], &frame, &scan].concat()
    }

    fn gif() -> Vec<u8> {
        [
            b"GIF89a".as_slice(),
            &[64, 0, 48, 0, 0, 0, 0, 0x2c, 0, 0, 0, 0, 64, 0, 48, 0, 0, 2, 0, 0x3b],
        ]
        .concat()
    }

    fn webp() -> Vec<u8> {
        let chunk = [b"VP8X".as_slice(), &[10, 0, 0, 0, 0, 0, 0, 0, 63, 0, 0, 47, 0, 0]].concat();
        [
            b"RIFF".as_slice(),
            &(4 + chunk.len() as u32).to_le_bytes(),
            b"WEBP",
            &chunk,
        ]
        .concat()
    }

    #[test]
    fn whole_images_of_a_usual_size_pass() {
        for (media_type, data) in [
            (PNG, png(64, 48)),
            (PNG, png(8, 16_384)),
            (JPEG, jpeg()),
            (GIF, gif()),
            (WEBP, webp()),
        ] {
            assert_eq!(image_media_type(&data), Some(media_type));
            assert_eq!(check_image(media_type, &data), Ok(()), "{media_type}");
        }
    }

    #[test]
    fn an_image_that_no_provider_can_use_is_refused_with_the_reason() {
        let mut large = png(64, 48);
        large.resize(MAX_IMAGE_BYTES + 1, 0);
        for (media_type, data, reason) in [
            (PNG, png(1, 1), "1 × 1 pixels"),
            (PNG, png(64, 7), "64 × 7 pixels"),
            (PNG, png(100_000, 100_000), "at most 16384"),
            (PNG, png(0, 0), "0 × 0"),
            (JPEG, png(64, 48), "its content is `image/png`"),
            (PNG, b"these are words".to_vec(), "no PNG"),
            (PNG, vec![], "no PNG"),
            (PNG, large, "at most 20.0 MB"),
            (PNG, PNG_SIGNATURE.to_vec(), "damaged"),
        ] {
            let error = check_image(media_type, &data).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_cut_image_is_incomplete_wherever_it_is_cut() {
        for (media_type, data) in [(PNG, png(64, 48)), (JPEG, jpeg()), (GIF, gif()), (WEBP, webp())] {
            for cut in 0..data.len() - 4 {
                assert!(
                    check_image(media_type, &data[..cut]).is_err(),
                    "{media_type} of {cut} bytes"
                );
            }
        }
    }

    #[test]
    fn only_images_after_the_last_answer_are_new() {
        let with_image = |data: Vec<u8>| ChatMessage {
            role: MessageRole::User,
            parts: vec![ContentPart::Image {
                media_type: PNG.to_owned(),
                data: data.into(),
            }],
        };
        let stored = [
            with_image(vec![]),
            ChatMessage::assistant("a cat"),
            ChatMessage::user("and?"),
        ];
        assert!(check_new_images(&stored).is_ok());
        assert!(check_new_images(&[with_image(vec![]), ChatMessage::user("what?")]).is_err());
    }

    #[test]
    fn an_image_is_known_by_its_first_bytes() {
        for (data, expected) in [
            (b"\x89PNG\r\n\x1a\n....".as_slice(), Some(PNG)),
            (b"\xff\xd8\xff\xe0....", Some(JPEG)),
            (b"GIF89a....", Some(GIF)),
            (b"GIF87a....", Some(GIF)),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some(WEBP)),
            (b"RIFF\x10\0\0\0WAVEfmt ", None),
            (b"RIFF", None),
            (b"%PDF-1.7", None),
            (b"\x89PNG", None),
            (b"", None),
        ] {
            assert_eq!(image_media_type(data), expected, "{data:?}");
        }
    }
}
