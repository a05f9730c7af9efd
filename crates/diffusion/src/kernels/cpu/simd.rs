//! One body compiled for several instruction sets, and the functions that such bodies are made of.
//!
//! No fused multiply-adds, and as many partial sums in every reduction: the same bits on AVX-512, AVX2 and without.

/// Partial results of every reduction, whatever the processor's vectors hold.
const PARTS: usize = 16;

/// Declares a function that picks, at run time, the widest vectors the processor has.
macro_rules! simd {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $kind:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $kind),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $kind),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "instructions that not every processor has may only be called this way"
            )]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn wide($($arg: $kind),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2")]
                fn medium($($arg: $kind),*) $(-> $ret)? { body($($arg),*) }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the processor has these instructions, as just asked.
                    return unsafe { wide($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has these instructions, as just asked.
                    return unsafe { medium($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use simd;

/// e^x to 2 units in the last place; 0 below -87.3.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LOW: f32 = -87.3;
    const HIGH: f32 = 88.7;
    let inside = if x > HIGH { HIGH } else { x };
    let inside = if inside < LOW { LOW } else { inside };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts: n times the first is exact.
    let r = inside - n * 0.693_359_4 + n * 2.121_944_4e-4;
    // Taylor's series; |r| <= ln(2) / 2, so the next term is below 6e-9.
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * (r * r) + r + 1.0;
    let power = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < LOW { 0.0 } else { power }
}

/// x times the logistic function.
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// The error function to 2e-7, by the rational approximation on [-4, 4] that Eigen and XLA use too.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = if x > 4.0 { 4.0 } else { x };
    let x = if x < -4.0 { -4.0 } else { x };
    let s = x * x;
    let p = -2.726_142_3e-10;
    let p = p * s + 2.770_681_4e-8;
    let p = p * s + -2.101_024e-6;
    let p = p * s + -5.692_506_5e-5;
    let p = p * s + -7.349_906_3e-4;
    let p = p * s + -2.954_6e-3;
    let p = p * s + -1.609_603_3e-2;
    let q = -1.456_607_2e-5;
    let q = q * s + -2.133_740_6e-4;
    let q = q * s + -1.682_827e-3;
    let q = q * s + -7.373_329_2e-3;
    let q = q * s + -1.426_473_9e-2;
    x * p / q
}

/// GELU by the error function, as diffusers' GEGLU and OpenCLIP have it.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The sum of `f(x)`.
#[inline(always)]
pub(crate) fn sum(xs: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut parts = [0f32; PARTS];
    let chunks = xs.chunks_exact(PARTS);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (part, &x) in parts.iter_mut().zip(chunk) {
            *part += f(x);
        }
    }
    parts.iter().sum::<f32>() + rest.iter().map(|&x| f(x)).sum::<f32>()
}

/// The largest value; negative infinity for none.
#[inline(always)]
pub(crate) fn max(xs: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut parts = [f32::NEG_INFINITY; PARTS];
    let chunks = xs.chunks_exact(PARTS);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (part, &x) in parts.iter_mut().zip(chunk) {
            *part = larger(*part, x);
        }
    }
    parts
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, &b| larger(a, b))
}

simd! {
    /// Replaces each x by e^(x - max), and returns their sum.
    pub(crate) fn softmax_unscaled(xs: &mut [f32]) -> f32 {
        let top = max(xs);
        for x in xs.iter_mut() {
            *x = exp(*x - top);
        }
        sum(xs, |x| x)
    }
}

simd! {
    /// Multiplies by a factor.
    pub(crate) fn scale(xs: &mut [f32], factor: f32) {
        for x in xs {
            *x *= factor;
        }
    }
}
