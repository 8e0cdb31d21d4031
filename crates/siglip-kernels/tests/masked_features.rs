//! The other tests again, with the instruction sets that a lesser processor would run.
#![cfg(all(target_arch = "x86_64", not(feature = "portable")))]
#![allow(clippy::duplicate_mod, reason = "each test file brings its own `common`")]

mod attention;
mod elementwise;
mod linear;

use std::process::Command;

#[test]
fn with_fewer_processor_features() {
    const VARIABLE: &str = "SIGLIP_KERNELS";
    if let Ok(wanted) = std::env::var(VARIABLE) {
        assert_eq!(siglip_kernels::backend().name(), wanted);
        return;
    }
    let this = std::env::current_exe().unwrap();
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx_vnni = avx2 && is_x86_feature_detected!("avxvnni");
    for (backend, _) in
        [("avx-vnni", avx_vnni), ("avx2", avx2), ("portable", true)].iter().filter(|(_, has)| *has)
    {
        let status = Command::new(&this).env(VARIABLE, backend).status().unwrap();
        assert!(status.success(), "tests fail with {backend}");
    }
}
