//! The portable random stream that scenes, pairs and wordings are drawn from.

use rand_pcg::{Pcg64, rand_core::Rng as _};

/// What a stream is for. Each domain is a PCG sequence of its own (its increment differs), so no benchmark scene can be
/// drawn from a state that training reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Pairs that a model is trained on.
    Train,
    /// Pairs that RoomBench scores.
    Bench,
    /// The slight variation of an item's color, drawn from the item's own seed.
    Tint,
    /// What an item is made of, drawn from its own seed.
    Surface,
    /// The looks of rooms that a model is trained on: light, wall, floor, camera.
    TrainLook,
    /// The looks of rooms that RoomBench scores.
    BenchLook,
}

impl Domain {
    fn sequence(self) -> u128 {
        match self {
            Self::Train => 0x7472_6169_6e00,
            Self::Bench => 0x6265_6e63_6800,
            Self::Tint => 0x7469_6e74_0000,
            Self::Surface => 0x7375_7266_6100,
            Self::TrainLook => 0x746c_6f6f_6b00,
            Self::BenchLook => 0x626c_6f6f_6b00,
        }
    }
}

/// A PCG XSL-RR 128/64 stream with mappings of its own to ranges and choices, so that the values depend on nothing but
/// the algorithm and this file.
#[derive(Clone, Debug)]
pub struct Rng(Pcg64);

impl Rng {
    /// The stream of `(domain, seed, index)`. Neighbouring seeds and indices are scrambled by a bijection, so they give
    /// unrelated and never identical streams.
    #[must_use]
    pub fn new(domain: Domain, seed: u64, index: u64) -> Self {
        let state = (u128::from(scramble(seed)) << 64) | u128::from(scramble(!index));
        Self(Pcg64::new(state, domain.sequence()))
    }

    /// Uniform in `[0, 1)`, on a grid of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `[low, high)`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        (f64::from(low) + (f64::from(high) - f64::from(low)) * self.unit()) as f32
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform in `0..n`, by the high half of a 128-bit product (bias below n / 2^64); 0 where `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// One of `choices`, each as likely; `None` only where there is none.
    pub fn choose<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len()))
    }

    /// One of `choices`, each as likely. An array that is known not to be empty.
    pub fn pick<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        const { assert!(N > 0) };
        choices[self.below(N)]
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), a bijection on 64 bits.
fn scramble(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_seeds_and_indices_give_streams_of_their_own() {
        let mut first: Vec<u64> = [
            (Domain::Train, 0, 0),
            (Domain::Bench, 0, 0),
            (Domain::Tint, 0, 0),
            (Domain::Surface, 0, 0),
            (Domain::TrainLook, 0, 0),
            (Domain::BenchLook, 0, 0),
            (Domain::Train, 1, 0),
            (Domain::Train, 0, 1),
        ]
        .map(|(domain, seed, index)| Rng::new(domain, seed, index).bits())
        .to_vec();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 8);
    }

    #[test]
    fn choices_stay_in_range_and_are_even() {
        let mut rng = Rng::new(Domain::Train, 3, 0);
        let mut counts = [0u32; 7];
        for _ in 0..7000 {
            counts[rng.below(7)] += 1;
        }
        assert!(
            counts.iter().all(|&n| (850..1150).contains(&n)),
            "{counts:?}"
        );
        assert_eq!(rng.below(0), 0);
        assert!(rng.choose::<u8>(&[]).is_none());
    }
}
