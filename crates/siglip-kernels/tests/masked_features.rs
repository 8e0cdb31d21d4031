//! The other tests again, with the instruction sets that a lesser processor would run.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(feature = "portable")))]
#![allow(clippy::duplicate_mod, reason = "each test file brings its own `common`")]

mod attention;
mod elementwise;
mod linear;

use std::process::Command;

/// Each lesser instruction set that this processor has.
#[cfg(target_arch = "x86_64")]
fn lesser() -> Vec<&'static str> {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx_vnni = avx2 && is_x86_feature_detected!("avxvnni");
    let sets = [("avx-vnni", avx_vnni), ("avx2", avx2), ("portable", true)];
    sets.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

/// Each lesser instruction set that this processor has.
#[cfg(target_arch = "aarch64")]
fn lesser() -> Vec<&'static str> {
    let dots = std::arch::is_aarch64_feature_detected!("dotprod");
    dots.then_some("neon-dot").into_iter().chain(["neon", "portable"]).collect()
}

/// Runs this program, in the emulator that Cargo runs it in, if any.
fn this_program() -> Command {
    let this = std::env::current_exe().unwrap();
    let runner = std::env::var("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER").unwrap_or_default();
    match runner.split_whitespace().collect::<Vec<_>>()[..] {
        [program, ref arguments @ ..] if cfg!(target_arch = "aarch64") => {
            let mut command = Command::new(program);
            command.args(arguments).arg(this);
            command
        }
        _ => Command::new(this),
    }
}

#[test]
fn with_fewer_processor_features() {
    const VARIABLE: &str = "SIGLIP_KERNELS";
    if let Ok(wanted) = std::env::var(VARIABLE) {
        assert_eq!(siglip_kernels::backend().name(), wanted);
        return;
    }
    for backend in lesser() {
        let status = this_program().env(VARIABLE, backend).status().unwrap();
        assert!(status.success(), "tests fail with {backend}");
    }
}
