//! Ways to damage bytes: lengths that lie, bits that flip, encodings that are not the shortest.

/// What lengths are replaced with besides their neighbors.
const LIES: [u64; 8] = [0, 1, 1 << 7, 1 << 14, 1 << 31, u32::MAX as u64, 1 << 63, u64::MAX];

/// `value` as a varint in its shortest form.
pub fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// The varint at the front of `bytes`, and how long it is.
fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let len = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    let digits = bytes[..len].iter().rev();
    Some((digits.fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)), len))
}

/// Whatever stands at any position is taken for a length and replaced by a lie, as a varint and as
/// a big-endian number of 16 and of 32 bits: so every field that is a length lies in some of these.
pub fn lying_lengths(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).flat_map(move |at| varint_lies(bytes, at).chain(fixed_lies(bytes, at)))
}

fn varint_lies(bytes: &[u8], at: usize) -> impl Iterator<Item = Vec<u8>> {
    read_varint(&bytes[at..]).into_iter().flat_map(move |(value, len)| {
        lies(value).map(move |lie| [&bytes[..at], &varint(lie), &bytes[at + len..]].concat())
    })
}

fn fixed_lies(bytes: &[u8], at: usize) -> impl Iterator<Item = Vec<u8>> {
    [2, 4].into_iter().filter(move |len| at + len <= bytes.len()).flat_map(move |len| {
        let field = &bytes[at..at + len];
        let value = field.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        lies(value).map(move |lie| {
            let lie = lie.to_be_bytes();
            [&bytes[..at], &lie[8 - len..], &bytes[at + len..]].concat()
        })
    })
}

fn lies(value: u64) -> impl Iterator<Item = u64> {
    LIES.into_iter().chain([value.wrapping_sub(1), value.wrapping_add(1)])
}

/// The same value at any position in more bytes than it needs, by one and by two.
pub fn long_varints(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).flat_map(move |at| {
        let len = read_varint(&bytes[at..]).map(|(_, len)| len);
        len.into_iter().flat_map(move |len| {
            let end = at + len;
            [&[0x00][..], &[0x80, 0x00]].into_iter().map(move |more| {
                let last = bytes[end - 1] | 0x80;
                [&bytes[..end - 1], &[last], more, &bytes[end..]].concat()
            })
        })
    })
}

/// Each bit flipped, one at a time.
pub fn flipped_bits(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(move |bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_is_read_back() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
            let bytes = varint(value);
            assert_eq!(read_varint(&bytes), Some((value, bytes.len())));
        }
        assert_eq!(read_varint(&[0x80; 9]), None);
    }

    #[test]
    fn every_length_lies_in_some() {
        let bytes = [0x05, 1, 2, 3, 4, 5, 0x00, 0x05];
        let all: Vec<Vec<u8>> = lying_lengths(&bytes).collect();
        assert!(all.contains(&vec![0x06, 1, 2, 3, 4, 5, 0x00, 0x05]));
        assert!(all.contains(&vec![0x80, 0x80, 0x01, 1, 2, 3, 4, 5, 0x00, 0x05]));
        assert!(all.contains(&vec![0x05, 1, 2, 3, 4, 5, 0x00, 0x04]));
    }

    #[test]
    fn a_long_varint_has_the_same_value() {
        let all: Vec<Vec<u8>> = long_varints(&[0x05]).collect();
        assert_eq!(all, [vec![0x85, 0x00], vec![0x85, 0x80, 0x00]]);
        assert!(all.iter().all(|bytes| read_varint(bytes).is_some_and(|(value, _)| value == 5)));
    }
}
