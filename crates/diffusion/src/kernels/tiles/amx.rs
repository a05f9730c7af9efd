//! Blocks by AMX. Its intrinsics are not in stable Rust yet, so the six instructions are written out.
#![expect(
    unsafe_code,
    reason = "the instructions of AMX can only be reached by inline assembly"
)]

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::sync::OnceLock;

use super::block::{Block, Left, TILE};
use super::line::Line;

/// Whether this process may use tiles of bf16: the processor has them, and the system keeps them when it changes threads.
pub(super) fn found() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| cfg!(target_os = "linux") && has_tiles() && permitted())
}

fn has_tiles() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const BF16: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    __cpuid_count(7, 0).edx & (BF16 | TILES) == BF16 | TILES
}

/// Asks the system for tile data, once a process: its state is large, so Linux gives it only to those that ask.
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let answer: i64;
    // SAFETY: a system call that takes two numbers, touches no memory of ours, and changes the two registers named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") REQUEST,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack)
        );
    }
    answer == 0
}

/// `ldtilecfg`'s operand.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// Shapes this thread's tiles: 0 to 3 hold the block, 4 and 5 the left operand, 6 and 7 the weights.
///
/// # Safety
/// [`found`] must be true, and each number of rows at most [`TILE`].
pub(super) unsafe fn configure(rows: [usize; 2]) {
    let (first, second) = (rows[0] as u8, rows[1].max(1) as u8);
    let mut config = Config {
        palette: 1,
        start: 0,
        reserved: [0; 14],
        bytes: [0; 16],
        rows: [0; 16],
    };
    config.bytes[..8].fill(64);
    let all = TILE as u8;
    config.rows[..8].copy_from_slice(&[first, first, second, second, first, second, all, all]);
    // SAFETY: the caller says that there are tiles; the operand is whole and lives until it is read.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
}

/// Gives this thread's tiles back, so that changing threads need not keep them.
///
/// # Safety
/// [`found`] must be true.
pub(super) unsafe fn release() {
    // SAFETY: the caller says that there are tiles.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// The block of a left operand and a panel.
///
/// # Safety
/// [`found`] must be true, this thread's tiles [configured](configure) for `left.rows`, and [`Left::fits`] true of the panel.
pub(super) unsafe fn product(left: &Left<'_>, panel: &[Line], out: &mut Block) {
    let lines = left.lines.as_ptr();
    // Both operands' rows lie a line apart, as do the steps of weights; a row of the block has two tiles of 64 bytes.
    // SAFETY: the caller's three promises: every line read is inside its slice, and the block has the rows that are stored.
    unsafe {
        let first = lines.add(left.starts[0]);
        if left.rows[1] > 0 {
            let between = left.starts[1].wrapping_sub(left.starts[0]).wrapping_mul(64);
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "mov {a0}, [{taps}]",
                "shl {a0}, 6",
                "add {a0}, {first}",
                "lea {a1}, [{a0} + {between}]",
                "mov {k}, {steps}",
                "3:",
                "tileloadd tmm4, [{a0} + {line}*1]",
                "tileloadd tmm6, [{b} + {line}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b} + {line}*1 + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a1} + {line}*1]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a0}, {step}",
                "add {a1}, {step}",
                "add {b}, 2048",
                "dec {k}",
                "jnz 3b",
                "add {taps}, 8",
                "dec {n}",
                "jnz 2b",
                "mov {k}, 128",
                "tilestored [{c} + {k}*1], tmm0",
                "tilestored [{c} + {k}*1 + 64], tmm1",
                "tilestored [{c} + {k}*1 + 2048], tmm2",
                "tilestored [{c} + {k}*1 + 2112], tmm3",
                a0 = out(reg) _,
                a1 = out(reg) _,
                k = out(reg) _,
                taps = inout(reg) left.taps.as_ptr() => _,
                n = inout(reg) left.taps.len() => _,
                first = in(reg) first,
                between = in(reg) between,
                steps = in(reg) left.steps,
                step = in(reg) left.step * 64,
                b = inout(reg) panel.as_ptr() => _,
                line = in(reg) 64usize,
                c = in(reg) out.0.as_mut_ptr(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack)
            );
        } else {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "2:",
                "mov {a0}, [{taps}]",
                "shl {a0}, 6",
                "add {a0}, {first}",
                "mov {k}, {steps}",
                "3:",
                "tileloadd tmm4, [{a0} + {line}*1]",
                "tileloadd tmm6, [{b} + {line}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b} + {line}*1 + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {a0}, {step}",
                "add {b}, 2048",
                "dec {k}",
                "jnz 3b",
                "add {taps}, 8",
                "dec {n}",
                "jnz 2b",
                "mov {k}, 128",
                "tilestored [{c} + {k}*1], tmm0",
                "tilestored [{c} + {k}*1 + 64], tmm1",
                a0 = out(reg) _,
                k = out(reg) _,
                taps = inout(reg) left.taps.as_ptr() => _,
                n = inout(reg) left.taps.len() => _,
                first = in(reg) first,
                steps = in(reg) left.steps,
                step = in(reg) left.step * 64,
                b = inout(reg) panel.as_ptr() => _,
                line = in(reg) 64usize,
                c = in(reg) out.0.as_mut_ptr(),
                out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                options(nostack)
            );
        }
    }
}
