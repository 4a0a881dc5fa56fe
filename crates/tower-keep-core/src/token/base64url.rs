//! The 64 characters of base64url (RFC 4648, section 5) that 48 bytes are.
//!
//! Every request that asks for its session reads a token. With a length that is known beforehand,
//! and neither padding nor a bit to spare, there is little to do, and nothing to get wrong.

pub(super) const BYTES: usize = 48;
pub(super) const CHARS: usize = 64;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Above all values, so that it can still be seen when they are put together.
const NONE: u8 = 0x80;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        #[expect(clippy::cast_possible_truncation, reason = "there are 64")]
        {
            values[ALPHABET[value] as usize] = value as u8;
        }
        value += 1;
    }
    values
};

pub(super) fn encode(bytes: &[u8; BYTES]) -> [u8; CHARS] {
    let mut text = [0; CHARS];
    let (threes, fours) = (bytes.as_chunks().0, text.as_chunks_mut().0);
    for ([one, two, three], four) in threes.iter().zip(fours) {
        let bits = u32::from_be_bytes([0, *one, *two, *three]);
        *four = [bits >> 18, bits >> 12, bits >> 6, bits].map(|bits| ALPHABET[bits as usize % 64]);
    }
    text
}

/// `None` if a character is not in the alphabet.
pub(super) fn decode(text: &[u8; CHARS]) -> Option<[u8; BYTES]> {
    let (mut bytes, mut all) = ([0; BYTES], 0);
    let (fours, threes) = (text.as_chunks::<4>().0, bytes.as_chunks_mut().0);
    for (four, three) in fours.iter().zip(threes) {
        let [first, second, third, fourth] = four.map(|char| VALUES[usize::from(char)]);
        all |= first | second | third | fourth;
        let high = u32::from(first) << 18 | u32::from(second) << 12;
        let [_, bytes @ ..] = (high | u32::from(third) << 6 | u32::from(fourth)).to_be_bytes();
        *three = bytes;
    }
    (all & NONE == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_writes_and_reads_what_others_do(bytes: [[u8; 16]; 3]) {
            let bytes: [u8; BYTES] = bytes.concat().try_into().unwrap();
            let text = encode(&bytes);
            prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes).into_bytes(), text);
            prop_assert_eq!(decode(&text), Some(bytes));
        }

        #[test]
        fn one_wrong_character_is_enough(bytes: [[u8; 16]; 3], at in 0..CHARS, char: u8) {
            let bytes: [u8; BYTES] = bytes.concat().try_into().unwrap();
            let mut text = encode(&bytes);
            text[at] = char;
            prop_assert_eq!(
                decode(&text).map(Vec::from),
                URL_SAFE_NO_PAD.decode(text).ok()
            );
        }
    }
}
