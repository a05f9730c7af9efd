//! What the processor has.

use serde::Serialize;

/// A processor.
#[derive(Clone, Debug, Serialize)]
pub struct Processor {
    /// Its own name; empty where the system does not say.
    pub name: String,
    /// The widest instruction sets that it has, of those that networks could use.
    pub instructions: Vec<&'static str>,
}

/// The one that this runs on.
pub fn processor() -> Processor {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or_else(String::new, |(_, name)| name.trim().to_owned());
    Processor {
        name,
        instructions: instructions(),
    }
}

#[cfg(target_arch = "x86_64")]
fn instructions() -> Vec<&'static str> {
    let mut found = Vec::new();
    if is_x86_feature_detected!("avx512f") {
        found.push("avx512");
    } else if is_x86_feature_detected!("avx2") {
        found.push("avx2");
    } else {
        found.push("sse2");
    }
    if is_x86_feature_detected!("avx512bf16") {
        found.push("avx512-bf16");
    }
    if tiles() {
        found.push("amx-bf16");
    }
    found
}

#[cfg(not(target_arch = "x86_64"))]
fn instructions() -> Vec<&'static str> {
    vec![if cfg!(target_arch = "aarch64") {
        "neon"
    } else {
        "none"
    }]
}

/// Whether the processor multiplies tiles of bf16. `is_x86_feature_detected!` can't say it yet.
#[cfg(target_arch = "x86_64")]
pub(super) fn tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    // Bits 22 and 24 of EDX in leaf 7: AMX-BF16 and AMX-TILE.
    let wanted = 1 << 22 | 1 << 24;
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & wanted == wanted
}
