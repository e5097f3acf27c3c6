//! Codes that people type: ten letters without vowels, so that no word comes out, in two groups. 43 bits.

use model::Dice;

/// A fresh code as it is shown.
pub(super) fn fresh(dice: &dyn Dice) -> String {
    let mut code = String::with_capacity(LETTERS + 1);
    let mut byte = [0];
    while code.len() < LETTERS + 1 {
        if code.len() == LETTERS / 2 {
            code.push('-');
        }
        dice.fill(&mut byte);
        // Only as many values as divide evenly, so that each letter is as likely.
        let [value] = byte;
        if usize::from(value) < ALPHABET.len() * (256 / ALPHABET.len()) {
            let letter = ALPHABET.get(usize::from(value) % ALPHABET.len()).copied().unwrap_or(b'B');
            code.push(char::from(letter));
        }
    }
    code
}

/// A code as somebody types it, without what is between its letters; `None` if it cannot be one.
pub(super) fn read(typed: &str) -> Option<String> {
    let letters: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| c.to_ascii_uppercase())
        .take(LETTERS + 1)
        .collect();
    let good = letters.len() == LETTERS && letters.bytes().all(|letter| ALPHABET.contains(&letter));
    good.then_some(letters)
}

/// Letters of a code: 20 of them give 4.3 bits each (RFC 8628 §6.1).
const ALPHABET: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many.
const LETTERS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use model::SeededDice;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_read_however_they_are_typed() {
        let dice = SeededDice::new(3);
        let code = fresh(&dice);
        assert_eq!(code.len(), LETTERS + 1);
        let plain = code.replace('-', "");
        for typed in
            [code.clone(), plain.clone(), plain.to_lowercase(), format!("  {} ", code.replace('-', " - "))]
        {
            assert_eq!(read(&typed).as_deref(), Some(plain.as_str()), "{typed}");
        }
        for bad in ["", "BCDFG-HJKL", "BCDFG-HJKLMN", "ACDFG-HJKLM", "BCDFG-HJKL1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn codes_have_more_than_forty_bits_and_every_letter() {
        assert!((ALPHABET.len() as f64).log2() * LETTERS as f64 > 40.0);
        let dice = SeededDice::new(1);
        let seen: BTreeSet<char> = (0..200).flat_map(|_| fresh(&dice).chars().collect::<Vec<_>>()).collect();
        assert_eq!(seen.len(), ALPHABET.len() + 1);
    }
}
