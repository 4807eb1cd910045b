//! Licenses of all dependencies are in the list of `deny.toml`, and none of its banned crates is
//! present.

use crate::{Outcome, repo, spdx};
use serde::Deserialize;
use std::path::Path;

/// Every workspace of the repository.
const WORKSPACES: &[&str] = &["", "firmware", "tests/fuzz"];

/// The part of `deny.toml` that is read here.
#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

/// Licenses that one crate may have besides.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
    /// Crates that may depend on it all the same.
    #[serde(default)]
    wrappers: Vec<String>,
}

/// The part of `cargo metadata` that is read here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    dependencies: Vec<Dependency>,
}

/// What a package asks for, for whatever target and feature.
#[derive(Deserialize)]
struct Dependency {
    name: String,
}

pub(crate) fn run(_: &[String]) -> Outcome {
    let rules: Rules = toml::from_str(&std::fs::read_to_string(repo::root().join("deny.toml"))?)?;
    let mut refusals = Vec::new();
    for workspace in WORKSPACES {
        let packages = packages(&repo::root().join(workspace))?;
        println!("{:12} {} packages", format!("/{workspace}"), packages.len());
        refusals.extend(refusals_of(&packages, &rules));
    }
    for refusal in &refusals {
        println!("{refusal}");
    }
    if refusals.is_empty() { Ok(()) } else { Err(format!("{} refused", refusals.len()).into()) }
}

/// All packages that a build of the workspace at `dir` for Linux may use.
fn packages(dir: &Path) -> Outcome<Vec<Package>> {
    let mut cargo = repo::cargo(dir);
    cargo.args(["metadata", "--format-version=1", "--locked"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let metadata: Metadata = serde_json::from_str(&repo::output(&mut cargo)?)?;
    Ok(metadata.packages)
}

fn refusals_of(packages: &[Package], rules: &Rules) -> Vec<String> {
    packages.iter().filter_map(|package| refusal(package, packages, rules)).collect()
}

/// Why a package may not come in, among all that come.
fn refusal(package: &Package, all: &[Package], rules: &Rules) -> Option<String> {
    let Package { name, version, license, .. } = package;
    let ban = rules.bans.deny.iter().find(|ban| ban.name == *name);
    if let Some(ban) = ban.filter(|ban| !only_wrapped(package, all, ban)) {
        return Some(format!("{name} {version} is banned: {}", ban.reason));
    }
    let Licenses { allow, exceptions } = &rules.licenses;
    let besides = exceptions.iter().filter(|exception| exception.name == *name);
    let allowed: Vec<String> =
        besides.flat_map(|exception| &exception.allow).chain(allow).cloned().collect();
    match license {
        None => Some(format!("{name} {version} names no license")),
        Some(license) if spdx::allowed(license, &allowed) => None,
        Some(license) => Some(format!("{name} {version}: {license} is not in the list")),
    }
}

/// Whether a banned package is there for crates alone that may have it.
fn only_wrapped(package: &Package, all: &[Package], ban: &Ban) -> bool {
    let asks = |other: &&Package| other.dependencies.iter().any(|need| need.name == package.name);
    let mut askers = all.iter().filter(asks).peekable();
    askers.peek().is_some() && askers.all(|asker| ban.wrappers.contains(&asker.name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn rules() -> Rules {
        let wrappers = vec!["writer".into()];
        let deny = vec![Ban { name: "zip".into(), reason: "we read none".into(), wrappers }];
        let allow = vec!["MIT".into()];
        let exceptions = vec![Exception { name: "tool".into(), allow: vec!["MPL-2.0".into()] }];
        Rules { licenses: Licenses { allow, exceptions }, bans: Bans { deny } }
    }

    fn package(name: &str, license: Option<&str>, needs: &[&str]) -> Package {
        let dependencies = needs.iter().map(|name| Dependency { name: (*name).into() }).collect();
        let license = license.map(Into::into);
        Package { name: name.into(), version: "1".into(), license, dependencies }
    }

    fn refused(name: &str, license: Option<&str>) -> Option<String> {
        refusal(&package(name, license, &[]), &[], &rules())
    }

    /// A writer of spreadsheets makes archives and reads none.
    #[test]
    fn sec_p13_a_banned_crate_comes_with_those_alone_that_may_have_it() {
        let comes_with = |askers: &[&str]| {
            let all = askers.iter().map(|name| package(name, Some("MIT"), &["zip"]));
            let all: Vec<Package> = all.chain([package("zip", Some("MIT"), &[])]).collect();
            refusals_of(&all, &rules()).is_empty()
        };
        assert!(comes_with(&["writer"]));
        assert!(!comes_with(&["writer", "reader"]));
        assert!(!comes_with(&["reader"]));
        assert!(!comes_with(&[]));
    }

    #[test]
    fn a_banned_crate_is_refused_whatever_its_license() {
        assert_eq!(refused("zip", Some("MIT")).unwrap(), "zip 1 is banned: we read none");
    }

    #[test]
    fn a_license_outside_the_list_is_refused() {
        assert_eq!(refused("a", Some("GPL-3.0")).unwrap(), "a 1: GPL-3.0 is not in the list");
        assert_eq!(refused("a", None).unwrap(), "a 1 names no license");
        assert_eq!(refused("a", Some("MIT")), None);
    }

    #[test]
    fn an_exception_is_for_its_crate_alone() {
        assert_eq!(refused("tool", Some("MPL-2.0")), None);
        assert_eq!(refused("tool", Some("MIT")), None);
        assert!(refused("a", Some("MPL-2.0")).is_some());
        assert!(refused("tool", Some("GPL-3.0")).is_some());
    }

    #[test]
    fn sec_p13_the_rules_of_this_repository_ban_archives_xml_and_c_tls() {
        let text = std::fs::read_to_string(repo::root().join("deny.toml")).unwrap();
        let rules: Rules = toml::from_str(&text).unwrap();
        for name in ["zip", "tar", "quick-xml", "openssl", "native-tls"] {
            assert!(rules.bans.deny.iter().any(|ban| ban.name == name), "{name}");
        }
        let wrapped = rules.bans.deny.iter().filter(|ban| !ban.wrappers.is_empty());
        let wrapped = wrapped.map(|ban| (&*ban.name, ban.wrappers.iter().map(|name| &**name)));
        let wrapped: BTreeMap<_, Vec<_>> = wrapped.map(|(ban, by)| (ban, by.collect())).collect();
        // The C library of TPMs is the helper's alone: no server, client or program links it.
        let expected = [
            ("strongroom-tpm", vec!["strongroom-benches", "strongroom-tests"]),
            ("tss-esapi", vec!["strongroom-tpm"]),
            ("tss-esapi-sys", vec!["strongroom-tpm", "tss-esapi"]),
            ("zip", vec!["rust_xlsxwriter"]),
        ];
        assert_eq!(wrapped, BTreeMap::from(expected));
        for workspace in WORKSPACES {
            let packages = packages(&repo::root().join(workspace)).unwrap();
            let banned = refusals_of(&packages, &rules);
            assert!(packages.len() > 10 && banned.is_empty(), "{banned:?}");
        }
    }

    /// P12: in no profile does a sum wrap silently.
    #[test]
    fn sec_p12_every_profile_checks_sums() {
        for manifest in WORKSPACES.iter().chain(&["protector/loader"]) {
            let path = repo::root().join(manifest).join("Cargo.toml");
            let manifest: toml::Table =
                toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let Some(profiles) = manifest.get("profile").and_then(|found| found.as_table()) else {
                assert!(path.ends_with("protector/loader/Cargo.toml"), "{}", path.display());
                continue;
            };
            for (name, profile) in profiles {
                let checks = profile.get("overflow-checks").and_then(toml::Value::as_bool);
                assert_eq!(checks, Some(true), "{}: {name}", path.display());
            }
        }
    }
}
