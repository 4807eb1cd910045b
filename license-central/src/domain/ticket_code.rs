//! A ticket as people type it: 125 random bits in Crockford's base32, and a check character.
//!
//! ```text
//! 7QH2M-0V8RD-XK41B-9TZCW-5GJ3E-N      25 characters, the last one checks them
//! ```
//!
//! The check character is a CRC-5 (the generator of USB, x^5 + x^2 + 1) over the characters. It
//! finds one wrong character and any two that changed places. It says nothing about whether such a
//! ticket exists, so it helps nobody to guess one.

use std::fmt;

use crc::{CRC_5_USB, Crc};
use protocol::crypto::hash::Sha256;
use zeroize::Zeroizing;

/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters without the check character: 125 bits.
const LEN: usize = 25;

/// Characters of a group.
const GROUP: usize = 5;

/// A ticket. Who has it can redeem it: wiped on drop, no `Debug`.
pub struct TicketCode(Zeroizing<[u8; LEN]>);

/// Why a text is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistyped {
    /// So many characters, where 26 are needed.
    Length(usize),
    /// A character that is in no ticket.
    Character(char),
    /// The check character does not fit the others.
    Check,
}

impl TicketCode {
    /// A new ticket from 16 random bytes, of which 125 bits count.
    pub fn new(random: &[u8; 16]) -> Self {
        let mut number = u128::from_be_bytes(*random);
        let mut symbols = Zeroizing::new([0; LEN]);
        for symbol in symbols.iter_mut() {
            *symbol = (number & 31) as u8;
            number >>= 5;
        }
        TicketCode(symbols)
    }

    /// Reads what somebody typed: any case, with blanks and hyphens or without, O for 0, I and L
    /// for 1.
    pub fn parse(typed: &str) -> Result<Self, Mistyped> {
        let mut symbols = Zeroizing::new(Vec::with_capacity(LEN + 1));
        for character in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            symbols.push(symbol(character).ok_or(Mistyped::Character(character))?);
            if symbols.len() > LEN + 1 {
                break;
            }
        }
        let (Some((check, first)), LEN) = (symbols.split_last(), symbols.len().wrapping_sub(1))
        else {
            let count = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').count();
            return Err(Mistyped::Length(count));
        };
        let mut code = TicketCode(Zeroizing::new([0; LEN]));
        code.0.copy_from_slice(first);
        if code.check() == *check { Ok(code) } else { Err(Mistyped::Check) }
    }

    /// What a database keeps of it: who reads that cannot redeem the ticket.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"strongroom/ticket/v1\0");
        hash.update(&self.0[..]);
        hash.finish()
    }

    /// The first group, by which people tell tickets apart.
    pub fn hint(&self) -> String {
        self.0[..GROUP].iter().map(|symbol| shown(*symbol)).collect()
    }

    /// The text that is handed out.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LEN + LEN / GROUP + 1));
        for (at, symbol) in self.0.iter().chain([&self.check()]).enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(shown(*symbol));
        }
        text
    }

    fn check(&self) -> u8 {
        Crc::<u8>::new(&CRC_5_USB).checksum(&self.0[..])
    }
}

fn shown(symbol: u8) -> char {
    char::from(ALPHABET[usize::from(symbol & 31)])
}

fn symbol(character: char) -> Option<u8> {
    let upper = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = ALPHABET.iter().position(|own| char::from(*own) == upper)?;
    u8::try_from(place).ok()
}

impl fmt::Display for Mistyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mistyped::Length(count) => write!(f, "{count} characters, where 26 are needed"),
            Mistyped::Character(character) => write!(f, "{character:?} is in no ticket"),
            Mistyped::Check => f.write_str("the last character does not fit the others"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> TicketCode {
        TicketCode::new(&0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978_u128.to_be_bytes())
    }

    fn refused(typed: &str) -> Option<Mistyped> {
        TicketCode::parse(typed).err()
    }

    #[test]
    fn what_is_handed_out_is_read_however_it_is_typed() {
        let text = code().text();
        assert_eq!(text.len(), 31);
        let loose = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        for typed in [text.to_string(), text.replace('-', ""), loose] {
            assert!(TicketCode::parse(&typed).is_ok_and(|read| read.0 == code().0), "{typed}");
        }
        assert!(text.starts_with(&code().hint()));
    }

    #[test]
    fn bits_of_the_random_bytes_all_count_but_three() {
        let base = code().hash();
        let of = |bit: u32| {
            let random = 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978_u128 ^ (1 << bit);
            TicketCode::new(&random.to_be_bytes()).hash()
        };
        assert_eq!((0..128).filter(|bit| of(*bit) != base).count(), 125);
    }

    #[test]
    fn one_wrong_character_and_two_that_changed_places_are_found() {
        let text: Vec<char> = code().text().replace('-', "").chars().collect();
        for at in 0..text.len() {
            for other in ALPHABET.iter().map(|symbol| char::from(*symbol)) {
                let mut typed = text.clone();
                typed[at] = other;
                let expected = (other != text[at]).then_some(Mistyped::Check);
                assert_eq!(refused(&String::from_iter(typed)), expected, "{at} {other}");
            }
            for with in at + 1..text.len() {
                let mut typed = text.clone();
                typed.swap(at, with);
                let expected = (text[at] != text[with]).then_some(Mistyped::Check);
                assert_eq!(refused(&String::from_iter(typed)), expected, "{at} {with}");
            }
        }
    }

    #[test]
    fn what_is_no_ticket_is_refused_with_the_reason() {
        let text = code().text();
        assert_eq!(refused(&text[1..]), Some(Mistyped::Length(25)));
        assert_eq!(refused(&format!("{}0", *text)), Some(Mistyped::Length(27)));
        assert_eq!(refused(""), Some(Mistyped::Length(0)));
        assert_eq!(
            refused(&text.replacen(char::is_alphanumeric, "U", 1)),
            Some(Mistyped::Character('U'))
        );
        assert_eq!(
            refused(&text.replacen(char::is_alphanumeric, "ß", 1)),
            Some(Mistyped::Character('ß'))
        );
    }
}
