//! Random octets: nonces that nobody can guess, and pauses out of step.
use crate::model::id::Nonce;

/// 80 bits.
const NONCE_OCTETS: usize = 10;

/// A fresh nonce of 16 characters for a marker.
///
/// # Panics
/// Where the system has no random numbers: no marker could be told from another then.
pub fn nonce() -> Nonce {
    let text = data_encoding::BASE32_NOPAD.encode(&octets::<NONCE_OCTETS>());
    text.parse().expect("base32 is what a nonce is made of")
}

pub(super) fn byte() -> u8 {
    octets::<1>()[0]
}

fn octets<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).expect("the system has random numbers");
    octets
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_nonces_are_alike() {
        let nonces: BTreeSet<Nonce> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1000);
        assert!(nonces.iter().all(|nonce| nonce.as_str().len() == 16));
    }
}
