//! Noise as torch's CPU generator draws it, so that a seed gives the picture that diffusers gives.
//!
//! Behaviour after `aten/src/ATen/native/cpu/DistributionTemplates.h` and `aten/src/ATen/core/DistributionsHelper.h`:
//! draws of 16 values and more are made in blocks of 16 from f32 uniforms, shorter ones value by value from f64 uniforms.

use crate::Error;

const STATE: usize = 624;
const SAVED: usize = 4 * STATE + 4 + 9;

/// `torch.Generator().manual_seed(seed)`, for normal draws in f32.
#[derive(Clone)]
pub struct TorchRng {
    state: [u32; STATE],
    next: usize,
    /// Short draws make normals in pairs; the second of a pair waits for the next short draw.
    spare: Option<f64>,
}

impl TorchRng {
    /// A generator as after `manual_seed(seed)`. Only the seed's low 32 bits count, as in torch.
    pub fn new(seed: u64) -> Self {
        let mut state = [0u32; STATE];
        state[0] = seed as u32;
        for i in 1..STATE {
            let before = state[i - 1];
            state[i] = 1_812_433_253u32
                .wrapping_mul(before ^ (before >> 30))
                .wrapping_add(i as u32);
        }
        Self {
            state,
            next: STATE,
            spare: None,
        }
    }

    /// `torch.randn(n, generator=..)`: `n` standard normal values.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        if n < 16 {
            return (0..n).map(|_| self.single()).collect();
        }
        let mut values: Vec<f32> = (0..n).map(|_| self.uniform()).collect();
        for block in values.chunks_exact_mut(16) {
            box_muller(block);
        }
        if !n.is_multiple_of(16) {
            // torch overlaps the last block with the one before, from fresh draws.
            let last = &mut values[n - 16..];
            last.fill_with(|| self.uniform());
            box_muller(last);
        }
        values
    }

    /// The generator's state as bytes, for [`TorchRng::restore`].
    pub fn save(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self
            .state
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        bytes.extend((self.next as u32).to_le_bytes());
        bytes.push(u8::from(self.spare.is_some()));
        bytes.extend(self.spare.unwrap_or(0.0).to_le_bytes());
        bytes
    }

    /// The generator that [`TorchRng::save`] saw.
    ///
    /// # Errors
    ///
    /// When the bytes are not such a state.
    pub fn restore(bytes: &[u8]) -> Result<Self, Error> {
        let damaged =
            || Error::Noise("the saved generator is damaged: start the edit again".into());
        let bytes: &[u8; SAVED] = bytes.try_into().map_err(|_| damaged())?;
        let word =
            |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let mut state = [0u32; STATE];
        for (i, value) in state.iter_mut().enumerate() {
            *value = word(4 * i);
        }
        let next = word(4 * STATE) as usize;
        let (low, high) = (word(4 * STATE + 5), word(4 * STATE + 9));
        let spare = f64::from_bits(u64::from(high) << 32 | u64::from(low));
        match bytes[4 * STATE + 4] {
            0 if next <= STATE => Ok(Self {
                state,
                next,
                spare: None,
            }),
            1 if next <= STATE && spare.is_finite() => Ok(Self {
                state,
                next,
                spare: Some(spare),
            }),
            _ => Err(damaged()),
        }
    }

    /// The next 32 bits of mt19937 (Matsumoto and Nishimura, 1998).
    fn bits(&mut self) -> u32 {
        if self.next >= STATE {
            for i in 0..STATE {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE] & 0x7fff_ffff);
                let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % STATE] ^ (y >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Uniform in [0, 1) on 24 bits.
    fn uniform(&mut self) -> f32 {
        (self.bits() & 0xff_ffff) as f32 * 2f32.powi(-24)
    }

    /// Uniform in [0, 1) on 53 bits.
    fn uniform_double(&mut self) -> f64 {
        let (high, low) = (self.bits(), self.bits());
        let bits = (u64::from(high) << 32 | u64::from(low)) & ((1 << 53) - 1);
        bits as f64 * 2f64.powi(-53)
    }

    fn single(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare as f32;
        }
        let (u1, u2) = (self.uniform_double(), self.uniform_double());
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * u1).sin_cos();
        self.spare = Some(radius * sin);
        (radius * cos) as f32
    }
}

impl std::fmt::Debug for TorchRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TorchRng")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// Sixteen uniforms to sixteen normals: radii from the first eight, angles from the last eight, both rounded to f32.
fn box_muller(block: &mut [f32]) {
    for i in 0..8 {
        let radius = f64::from((-2.0 * (1.0 - f64::from(block[i])).ln()).sqrt() as f32);
        let (sin, cos) = f64::from(std::f32::consts::TAU * block[i + 8]).sin_cos();
        block[i] = (radius * cos) as f32;
        block[i + 8] = (radius * sin) as f32;
    }
}
