//! What a configuration is made of, as standard tools print it: hashes of files (`sha256sum`) and versions of packages
//! (`rpm -q`, `dpkg-query -W`); and how two of them differ.

use std::collections::BTreeMap;

/// By path or package name: hash or version.
pub type Manifest = BTreeMap<String, String>;

const HASH_CHARS: usize = 64;
const BETWEEN_VERSIONS: &str = ", ";

/// Lines `HASH  path`, `HASH *path`, `package version`, `package\tversion` and `package-1.2-3.el7.x86_64`; comments and
/// what is none of these are passed over. Of a package that is installed in several versions, such as a kernel, all are
/// kept, in their order of letters.
pub fn parse(text: &str) -> Manifest {
    let mut manifest = Manifest::new();
    for (name, value) in text.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(entry) {
        if name.starts_with('/') {
            manifest.insert(name, value);
            continue;
        }
        let versions = manifest.entry(name).or_default();
        let mut all: Vec<&str> = versions.split(BETWEEN_VERSIONS).filter(|known| !known.is_empty()).collect();
        if !all.contains(&value.as_str()) {
            all.push(&value);
            all.sort_unstable();
            *versions = all.join(BETWEEN_VERSIONS);
        }
    }
    manifest
}

fn entry(line: &str) -> Option<(String, String)> {
    // sha256sum marks a name that it had to escape.
    let hashed = line.strip_prefix('\\').unwrap_or(line);
    if let Some((hash, path)) = hashed.split_once(' ')
        && hash.len() == HASH_CHARS
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        let path = path.trim_start_matches([' ', '*']);
        return path.starts_with('/').then(|| (path.to_owned(), hash.to_lowercase()));
    }
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(name), Some(version), None) if is_version(version) => Some((name.to_owned(), version.to_owned())),
        (Some(package), None, None) => package_of(package),
        _ => None,
    }
}

fn is_version(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// `eucalyptus-4.4.2-1.el7.x86_64`: name, version and release stand between the last two hyphens.
fn package_of(word: &str) -> Option<(String, String)> {
    let mut parts = word.rsplitn(3, '-');
    let (release, version, name) = (parts.next()?, parts.next()?, parts.next()?);
    is_version(version).then(|| (name.to_owned(), format!("{version}-{release}")))
}

/// What is changed, only here, or only there, in the order of names; of each hash or version none.
pub fn differences(here: &Manifest, there: &Manifest) -> Vec<String> {
    let mut names: Vec<&String> = here.keys().chain(there.keys()).collect();
    names.sort();
    names.dedup();
    let told = names.into_iter().filter_map(|name| match (here.get(name), there.get(name)) {
        (Some(own), Some(other)) if own == other => None,
        (Some(_), Some(_)) => Some(format!("{name} differs")),
        (Some(_), None) => Some(format!("{name} is only here")),
        (None, _) => Some(format!("{name} is missing here")),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn hashes_and_packages_of_both_families_are_read() {
        let text = format!(
            "# clc1\n{HASH}  /etc/eucalyptus/eucalyptus.conf\n{HASH} */etc/a b\neucalyptus-4.4.2-1.el7.x86_64\n\
             postgresql\t9.2.24-8.el7\npackage drbd is not installed\nlibc6:amd64 2.36-9\n{HASH}  relative\n"
        );
        let manifest = parse(&text);
        let told: Vec<String> = manifest.iter().map(|(name, value)| format!("{name}={}", &value[..4])).collect();
        let wanted = [
            "/etc/a b=e3b0",
            "/etc/eucalyptus/eucalyptus.conf=e3b0",
            "eucalyptus=4.4.",
            "libc6:amd64=2.36",
            "postgresql=9.2.",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn of_a_package_in_several_versions_all_are_kept() {
        let one = parse("kernel 5.14-2\nkernel 5.14-1\nkernel 5.14-2\n");
        assert_eq!(one["kernel"], "5.14-1, 5.14-2");
        assert_eq!(one, parse("kernel 5.14-1\nkernel 5.14-2\n"));
    }

    #[test]
    fn differences_are_named_from_here() {
        let here = parse("a 1\nb 2\nc 3\n");
        let there = parse("a 1\nb 3\nd 4\n");
        assert_eq!(differences(&here, &there), ["b differs", "c is only here", "d is missing here"]);
        assert!(differences(&here, &here).is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_nothing_differs_from_itself(text in "([0-9a-f]{64}|/|-|[a-z]{1,5}|[0-9]|\\.| |\t|\n|\\*|#|\\PC){0,40}") {
            let manifest = parse(&text);
            prop_assert!(differences(&manifest, &manifest).is_empty());
            prop_assert_eq!(differences(&manifest, &Manifest::new()).len(), manifest.len());
        }
    }
}
