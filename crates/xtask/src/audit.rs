//! Compares the dependencies, and what each is able to do, with a reviewed record. So no new crate and no new ability
//! gets in unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::Result;
use crate::command::{Error, command, output, run};

/// One line per crate: its name and its abilities.
const RECORD: &str = "crates/xtask/dependencies.txt";
const HEAD: &str = "\
# What the dependencies of siglip-web and siglip-cli are able to do, on every platform. `cargo xtask audit --record`
# writes this file and a person reviews it: a new crate or a new ability needs a reason in the commit. unsafe: has
# unsafe code. build: runs a build script. macro: runs in the compiler. files, network, process, environment: its source
# names these modules of std, perhaps in code that is not compiled here.
";
/// Each ability, and the text in a crate's source that shows it.
const ABILITIES: [(&str, &[&str]); 5] = [
    ("unsafe", &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]),
    ("files", &["std::fs"]),
    ("network", &["std::net", "TcpStream", "UdpSocket"]),
    ("process", &["std::process::Command", "process::Command"]),
    ("environment", &["std::env", "env::var"]),
];

/// Compare the dependencies with the record, and ask npm for known vulnerabilities.
#[derive(Args)]
pub struct Audit {
    /// Write the record.
    #[arg(long)]
    record: bool,
}

/// Abilities by crate.
type Record = BTreeMap<String, BTreeSet<String>>;

impl Audit {
    /// Fails if a crate is new or has an ability that is not in the record.
    pub fn run(&self) -> Result {
        let found = found()?;
        let path = crate::path(RECORD);
        if self.record {
            let line = |(name, abilities): (&String, &BTreeSet<String>)| {
                let words = std::iter::once(name).chain(abilities).map(String::as_str);
                words.collect::<Vec<_>>().join(" ") + "\n"
            };
            let lines: String = found.iter().map(line).collect();
            return fs::write(&path, format!("{HEAD}{lines}")).map_err(Error::file(&path));
        }
        check()
    }
}

/// Fails if the dependencies differ from the record, or npm's registry knows a vulnerability of a package.
pub fn check() -> Result {
    crates()?;
    let mut audit = command("npm", &["audit", "--json", "--audit-level=high"]);
    audit.args(["--fetch-retries=0", "--fetch-timeout=20000"]);
    let report = audit.output().map_err(|source| Error::Start { program: "npm".into(), source })?;
    eprintln!("{}", npm_verdict(&report.stdout, report.status.success())?);
    Ok(())
}

/// What `npm audit` has found. A registry that cannot be reached, or does not answer such questions, is no failure.
fn npm_verdict(report: &[u8], is_success: bool) -> Result<&'static str> {
    if !String::from_utf8_lossy(report).contains("\"auditReportVersion\"") {
        return Ok(
            "npm audit: the registry cannot be asked from here; vulnerabilities of npm packages are NOT checked",
        );
    }
    if is_success { Ok("npm audit: no known vulnerability of high severity") } else { Err(Error::Vulnerable) }
}

/// Fails if the crates differ from the record.
fn crates() -> Result {
    let path = crate::path(RECORD);
    let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
    let differences = differences(&parse(&text), &found()?);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Unreviewed { differences: differences.join("; ") })
}

fn parse(text: &str) -> Record {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let crates = lines.filter_map(|line| {
        let mut words = line.split_whitespace().map(String::from);
        Some((words.next()?, words.collect()))
    });
    crates.collect()
}

/// The differences from the record, as sentences.
fn differences(recorded: &Record, found: &Record) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, abilities) in found {
        match recorded.get(name) {
            None => differences.push(format!("{name} is new")),
            Some(known) => {
                let fresh = abilities.difference(known);
                differences.extend(fresh.map(|ability| format!("{name} has a new ability: {ability}")));
            }
        }
    }
    let gone = recorded.keys().filter(|name| !found.contains_key(*name));
    differences.extend(gone.map(|name| format!("{name} is gone")));
    differences
}

/// The abilities of every crate that a user runs.
fn found() -> Result<Record> {
    // Fetches the crates for other platforms too.
    run(&mut command("cargo", &["fetch", "--quiet"]))?;
    let mut tree =
        command("cargo", &["tree", "--prefix", "none", "--edges", "normal,build", "--target", "all"]);
    tree.args(["--package", "siglip-web", "--package", "siglip-cli", "--format", "{p}"]);
    let remedy = "run `cargo fetch`".to_string();
    let tree = output(&mut tree).ok_or(Error::Missing { what: "the tree of dependencies", remedy })?;
    let mut found = Record::new();
    for line in tree.lines() {
        // "name v1.2.3", followed by a path if the crate is in this repository.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, version, rest @ ..] = &words[..] else { continue };
        if rest.iter().any(|word| word.starts_with("(/")) {
            continue;
        }
        let folder = source(name, version.trim_start_matches('v'))?;
        found.entry((*name).into()).or_default().extend(abilities(&folder)?);
    }
    Ok(found)
}

/// Where cargo has unpacked a crate.
fn source(name: &str, version: &str) -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).unwrap_or_default();
    let registries = home.join("registry/src");
    let entries = fs::read_dir(&registries).map_err(Error::file(&registries))?;
    let mut folders = entries.flatten().map(|entry| entry.path().join(format!("{name}-{version}")));
    folders.find(|folder| folder.exists()).ok_or_else(|| Error::Missing {
        what: "the source of a crate",
        remedy: format!("run `cargo fetch` for {name} {version}"),
    })
}

/// The abilities that the source in a folder shows.
fn abilities(folder: &Path) -> Result<BTreeSet<String>> {
    let mut abilities = BTreeSet::new();
    let manifest = folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(Error::file(&manifest))?;
    if text.lines().any(|line| line.replace(' ', "").starts_with("proc-macro=true")) {
        abilities.insert("macro".into());
    }
    if text.lines().any(|line| line.starts_with("build = \"")) || folder.join("build.rs").exists() {
        abilities.insert("build".into());
    }
    let mut folders = vec![folder.join("src")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read(&path).map_err(Error::file(&path))?;
                let source = String::from_utf8_lossy(&source);
                let said =
                    ABILITIES.iter().filter(|(_, signs)| signs.iter().any(|sign| source.contains(sign)));
                abilities.extend(said.map(|(ability, _)| String::from(*ability)));
            }
        }
    }
    Ok(abilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_crate_a_new_ability_and_a_removed_crate_are_reported() {
        let recorded = parse("# a remark\n\nold unsafe\nkept files\n");
        let found = parse("kept files network\nnew\n");
        let told = ["kept has a new ability: network", "new is new", "old is gone"];
        assert_eq!(differences(&recorded, &found), told);
        assert!(differences(&recorded, &recorded).is_empty());
    }

    #[test]
    fn npm_audit_fails_for_vulnerabilities_and_not_for_a_registry_without_an_answer() {
        let report = br#"{"auditReportVersion": 2, "vulnerabilities": {}}"#;
        assert!(npm_verdict(report, true).unwrap().contains("no known vulnerability"));
        assert!(matches!(npm_verdict(report, false), Err(Error::Vulnerable)));
        let refusal = br#"{"message": "405 Method Not Allowed", "statusCode": 405}"#;
        assert!(npm_verdict(refusal, false).unwrap().contains("NOT checked"));
        assert!(npm_verdict(b"", false).unwrap().contains("NOT checked"));
    }
}
