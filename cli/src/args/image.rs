//! Images of a request, whose type is that of their content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nearside::Error;
use nearside::chat::ContentPart;

use crate::error::CliError;
use crate::format::format_bytes;

/// Reads an image.
///
/// # Errors
/// `InvalidRequest` for a file that is empty, too large or of another type; `Storage`.
pub(super) fn read_image(file: &str) -> Result<ContentPart, CliError> {
    let map_error = |cause| Error::file(Path::new(file), "read the image", &cause);
    let mut data = Vec::new();
    // Limited: the file may be a device without an end.
    let opened = File::open(file).map_err(map_error)?;
    opened
        .take(MAX_IMAGE_BYTES + 1)
        .read_to_end(&mut data)
        .map_err(map_error)?;
    if data.len() as u64 > MAX_IMAGE_BYTES {
        let text = format!("the image `{file}` is larger than {}", format_bytes(MAX_IMAGE_BYTES));
        return Err(CliError::with_help(Error::invalid_request(text), "scale it down"));
    }
    let Some(media_type) = media_type(&data) else {
        let text = format!("`{file}` is no PNG, JPEG, WebP or GIF image");
        return Err(CliError::with_help(
            Error::invalid_request(text),
            "convert it, for example to PNG",
        ));
    };
    Ok(ContentPart::Image {
        media_type: media_type.to_owned(),
        data: data.into(),
    })
}

/// Returns the type that the first bytes show, whatever the file is called.
fn media_type(data: &[u8]) -> Option<&'static str> {
    let is_webp = data.starts_with(b"RIFF") && data.get(8..12) == Some(b"WEBP".as_slice());
    let signatures: [(&[u8], &str); 4] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
    ];
    let found = signatures.into_iter().find(|(start, _)| data.starts_with(start));
    found
        .map(|(_, media_type)| media_type)
        .or(is_webp.then_some("image/webp"))
}

/// Maximum size of an image; providers accept less or as much.
const MAX_IMAGE_BYTES: u64 = 20_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_first_bytes() {
        for (data, expected) in [
            (b"\x89PNG\r\n\x1a\n....".as_slice(), Some("image/png")),
            (b"\xff\xd8\xff\xe0....", Some("image/jpeg")),
            (b"GIF89a....", Some("image/gif")),
            (b"GIF87a....", Some("image/gif")),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\x10\0\0\0WAVEfmt ", None),
            (b"RIFF", None),
            (b"%PDF-1.7", None),
            (b"\x89PNG", None),
            (b"", None),
        ] {
            assert_eq!(media_type(data), expected, "{data:?}");
        }
    }
}
