//! Bytes of an image in JSON: base64, as providers and other programs expect them. Lists of numbers, as earlier releases wrote
//! them, are read, too.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};

use super::ImageBytes;

pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ImageBytes, D::Error> {
    deserializer.deserialize_any(BytesVisitor).map(ImageBytes::from)
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("base64, or a list of bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        BASE64_STANDARD.decode(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::with_capacity(list.size_hint().unwrap_or_default());
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use crate::chat::ContentPart;

    #[test]
    fn an_image_is_base64_and_a_list_of_numbers_is_still_read() {
        let image = ContentPart::Image {
            media_type: "image/png".to_owned(),
            data: vec![0x89, b'P', b'N', b'G'].into(),
        };
        let json = serde_json::to_string(&image).expect("json");
        assert_eq!(json, r#"{"type":"image","media_type":"image/png","data":"iVBORw=="}"#);
        for stored in [
            json.as_str(),
            r#"{"type":"image","media_type":"image/png","data":[137,80,78,71]}"#,
        ] {
            assert_eq!(serde_json::from_str::<ContentPart>(stored).expect(stored), image);
        }
    }
}
