//! The secrets by which main knows its own renderers.

use std::fmt;
use std::hint;
use std::str::FromStr;

use crate::limits::PROOF_BYTES;

/// A secret that a native renderer shows main. Main makes each up from a random source. There are
/// two: one for all renderers, which main hands only to the processes that it starts and which lets
/// them in, and one that a renderer gets for itself with its [welcome](super::Welcome), by which it
/// is known again.
///
/// Two proofs are compared in a time that does not tell where they differ, and `Debug` does not
/// show any of it. It is written in hexadecimal, for an environment variable or a file.
///
/// ```
/// use guardhouse_protocol::frame::Proof;
///
/// let proof = Proof::new([0xa5; 32]);
/// assert_eq!(proof.to_hex().parse(), Ok(proof.clone()));
/// assert_eq!(format!("{proof:?}"), "Proof(…)");
/// ```
#[derive(Clone)]
pub struct Proof([u8; PROOF_BYTES]);

impl Proof {
    /// The proof that consists of these bytes.
    pub const fn new(bytes: [u8; PROOF_BYTES]) -> Self {
        Self(bytes)
    }

    /// The secret itself, in hexadecimal. Whoever can read it is let in.
    pub fn to_hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.0
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .map(|digit| char::from(DIGITS[usize::from(digit)]))
            .collect()
    }
}

impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        let difference = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |difference, (a, b)| hint::black_box(difference | (a ^ b)));
        difference == 0
    }
}

impl Eq for Proof {}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(…)")
    }
}

impl FromStr for Proof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let digits = text.as_bytes();
        if digits.len() != 2 * PROOF_BYTES {
            return Err(ProofError);
        }
        let mut bytes = [0; PROOF_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn digit(character: u8) -> Result<u8, ProofError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        b'A'..=b'F' => Ok(character - b'A' + 10),
        _ => Err(ProofError),
    }
}

/// Not a [`Proof`]. It does not repeat what was given, which may be a secret that was cut short.
/// The fault is with whoever handed it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofError;

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a proof has {} hexadecimal digits", 2 * PROOF_BYTES)
    }
}

impl std::error::Error for ProofError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_in_either_case() {
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = index as u8 * 8 + 3;
        }
        let proof = Proof::new(bytes);
        assert_eq!(proof.to_hex().parse(), Ok(proof.clone()));
        assert_eq!(proof.to_hex().to_uppercase().parse(), Ok(proof));
    }

    #[test]
    fn an_error_does_not_repeat_the_secret() {
        for text in ["", "5ec2e7", &"g".repeat(64), &"ä".repeat(32), &"0".repeat(65)] {
            let error = text.parse::<Proof>().unwrap_err();
            assert_eq!(error.to_string(), "a proof has 64 hexadecimal digits");
        }
    }
}
