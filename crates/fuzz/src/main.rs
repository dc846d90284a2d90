//! Fuzz targets for everything that strangers write; `cargo xtask fuzz` builds and runs them.
//!
//! One program with all targets: built for fuzzing (`--cfg fuzzing`) it is libFuzzer's, otherwise it reads the files it is
//! given, to look at one input in a debugger: `cargo run -p hookswitch-fuzz -- --target=command <file>…`.

#![cfg_attr(fuzzing, no_main)]

mod targets;

use targets::Target;

/// The target that was chosen by `--target=<name>`, a kind of argument that libFuzzer leaves to us.
fn chosen() -> &'static Target {
    let name = std::env::args().find_map(|argument| argument.strip_prefix("--target=").map(str::to_owned));
    targets::ALL.iter().find(|target| Some(target.name) == name.as_deref()).expect("--target=<name of a target>")
}

#[cfg(fuzzing)]
static CHOSEN: std::sync::OnceLock<&'static Target> = std::sync::OnceLock::new();

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: {
        CHOSEN.get_or_init(chosen);
    },
    |input: &[u8]| {
        (CHOSEN.get_or_init(chosen).read)(input);
    }
);

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    let target = chosen();
    for file in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        (target.read)(&std::fs::read(file)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds_and_reads_them() {
        for target in targets::ALL {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target.name);
            let seeds: Vec<_> = std::fs::read_dir(&folder).expect("a folder of seeds").collect();
            assert!(!seeds.is_empty(), "{}", folder.display());
            for seed in seeds {
                (target.read)(&std::fs::read(seed.expect("a file").path()).expect("bytes"));
            }
        }
    }
}
