//! Images of a request, whose type is that of their content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nearside::Error;
use nearside::chat::{ContentPart, MAX_IMAGE_BYTES, image_media_type};

use crate::error::CliError;
use crate::format::format_bytes;

/// Reads an image from a regular file.
///
/// # Errors
/// `InvalidRequest` for a file that is empty, too large or of another type, and for a pipe, a device or a directory;
/// `Storage`.
pub(super) fn read_image(file: &str) -> Result<ContentPart, CliError> {
    let map_error = |cause| Error::file(Path::new(file), "read the image", &cause);
    // Before it is opened: a pipe without a writer would block for ever.
    if !std::fs::metadata(file).map_err(map_error)?.is_file() {
        let text = format!("the image `{file}` is a directory, a pipe or a device");
        return Err(CliError::with_help(Error::invalid_request(text), "give a regular file"));
    }
    let (mut data, most) = (Vec::new(), MAX_IMAGE_BYTES as u64);
    // Limited: the file may grow.
    let opened = File::open(file).map_err(map_error)?;
    opened.take(most + 1).read_to_end(&mut data).map_err(map_error)?;
    if data.len() as u64 > most {
        let text = format!("the image `{file}` is larger than {}", format_bytes(most));
        return Err(CliError::with_help(Error::invalid_request(text), "scale it down"));
    }
    let Some(media_type) = image_media_type(&data) else {
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
