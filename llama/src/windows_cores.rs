//! The cores of a Windows machine by their efficiency class, which llama.cpp's own count does not distinguish.
//!
//! The records are parsed everywhere, so that their tests run everywhere; only Windows has any.

#![cfg_attr(not(windows), allow(dead_code))]
#![allow(unsafe_code)]

/// Returns the number of physical cores of the fastest kind. `None` if the system does not say.
#[cfg(windows)]
pub(crate) fn fastest_cores() -> Option<u32> {
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetLogicalProcessorInformationEx(relation: i32, records: *mut u8, size: *mut u32) -> i32;
    }
    let mut size = 0;
    // SAFETY: without a buffer, the call only writes the size that one needs.
    unsafe { GetLogicalProcessorInformationEx(RELATION_CORE, std::ptr::null_mut(), &raw mut size) };
    // The records begin with integers of four bytes, and hold pointer-sized ones.
    let mut records = vec![0_u64; size.div_ceil(8) as usize];
    // SAFETY: the buffer has at least `size` bytes, and the alignment of the records.
    if unsafe { GetLogicalProcessorInformationEx(RELATION_CORE, records.as_mut_ptr().cast(), &raw mut size) } == 0 {
        return None;
    }
    let bytes: Vec<u8> = records.iter().flat_map(|word| word.to_ne_bytes()).collect();
    count_fastest(bytes.get(..size as usize)?)
}

/// Returns the number of cores with the highest efficiency class, from records of `RelationProcessorCore`: the higher the
/// class, the faster the core. `None` if there is no record.
fn count_fastest(records: &[u8]) -> Option<u32> {
    let (mut fastest, mut count) = (0, 0);
    let mut rest = records;
    while let Some(header) = rest.first_chunk::<HEADER_BYTES>() {
        let [r0, r1, r2, r3, s0, s1, s2, s3, _flags, class] = *header;
        let size = u32::from_ne_bytes([s0, s1, s2, s3]) as usize;
        if i32::from_ne_bytes([r0, r1, r2, r3]) == RELATION_CORE {
            if class > fastest {
                (fastest, count) = (class, 0);
            }
            count += u32::from(class == fastest);
        }
        if size < HEADER_BYTES {
            break;
        }
        rest = rest.get(size..).unwrap_or_default();
    }
    (count > 0).then_some(count)
}

/// `RelationProcessorCore`.
const RELATION_CORE: i32 = 0;
/// The relation and the size of a record, its flags, and the efficiency class.
const HEADER_BYTES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a record as Windows writes it: 48 bytes, with one group.
    fn record(relation: i32, class: u8) -> Vec<u8> {
        let mut record = vec![0; 48];
        record[0..4].copy_from_slice(&relation.to_ne_bytes());
        record[4..8].copy_from_slice(&48_u32.to_ne_bytes());
        record[9] = class;
        record[30] = 1;
        record
    }

    fn count_of(classes: &[u8]) -> Option<u32> {
        let records: Vec<u8> = classes.iter().flat_map(|class| record(RELATION_CORE, *class)).collect();
        count_fastest(&records)
    }

    #[test]
    fn the_fastest_cores_of_a_hybrid_processor_count() {
        assert_eq!(count_of(&[0; 6]), Some(6), "all alike");
        assert_eq!(count_of(&[1, 1, 0, 0, 0, 0]), Some(2), "an i3 with two fast cores");
        assert_eq!(count_of(&[0, 1, 1, 2, 2, 2]), Some(3), "three kinds");
        assert_eq!(count_of(&[]), None);
    }

    #[test]
    fn other_and_damaged_records_are_no_cores() {
        let mut records = record(3, 5);
        records.extend(record(RELATION_CORE, 0));
        assert_eq!(count_fastest(&records), Some(1));
        assert_eq!(count_fastest(&records[..52]), None, "cut");
        records[4..8].fill(0);
        assert_eq!(count_fastest(&records[..48]), None, "a size of nothing ends");
        records[4..8].fill(0xff);
        assert_eq!(count_fastest(&records), None);
    }
}
