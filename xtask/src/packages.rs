//! What the commands need from the operating system, and how it gets there.
//!
//! [`install`] leaves a machine with everything that [`NEEDS`] lists, or fails with the exact names
//! of what is missing. Only apt-get is driven, since Debian and Ubuntu are where CI runs; elsewhere
//! it is for the person at the keyboard to choose how things get installed.

use std::process::Command;

use crate::workspace::{has_program, succeeds};

/// Something that has to be installed on the system.
struct Need {
    /// What it is for, as it is said to a person.
    what: &'static str,
    /// How to see that it is there: any one of these programs is on the path.
    programs: &'static [&'static str],
    /// The packages of Debian and Ubuntu that bring it.
    debian: &'static [&'static str],
}

/// Everything that the commands need beyond Rust itself.
const NEEDS: &[Need] = &[Need {
    // This command was linked with one itself, unless Cargo was told of another linker. Build
    // scripts that compile C need it all the same.
    what: "a C compiler, which rustc calls to link",
    programs: &["cc", "gcc", "clang"],
    // Without what apt merely recommends, gcc alone could compile but not link.
    debian: &["gcc", "libc6-dev"],
}];

/// Installs what is missing.
pub(crate) fn install() -> Result<(), String> {
    // Elsewhere Rust comes with its linker (Windows) or explains itself how to get one.
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !is_met(need)).collect();
    if missing.is_empty() {
        println!("Nothing is missing.");
        return Ok(());
    }
    for need in &missing {
        println!("Missing: {}", need.what);
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.debian).copied().collect();
    let system = System {
        has_apt: has_program("apt-get"),
        is_root: is_root(),
        has_sudo: has_program("sudo"),
    };
    for words in system.commands(&packages)? {
        println!("Running {}", words.join(" "));
        if !succeeds(Command::new(words[0]).args(&words[1..]))? {
            return Err(format!(
                "installing failed; install {} yourself, then run this again",
                packages.join(" ")
            ));
        }
    }
    match missing.iter().find(|need| !is_met(need)) {
        None => Ok(()),
        Some(need) => Err(format!(
            "{} is still missing, although {} is installed; put one of these on the PATH: {}",
            need.what,
            need.debian.join(" "),
            need.programs.join(", ")
        )),
    }
}

fn is_met(need: &Need) -> bool {
    need.programs.iter().any(|program| has_program(program))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// What matters about a system for installing packages on it.
struct System {
    has_apt: bool,
    is_root: bool,
    has_sudo: bool,
}

impl System {
    /// The commands that install `packages`, or what to tell the person who has to do it instead.
    fn commands<'a>(&self, packages: &[&'a str]) -> Result<Vec<Vec<&'a str>>, String> {
        let names = packages.join(" ");
        if !self.has_apt {
            return Err(format!("there is no apt-get here; install what Debian calls: {names}"));
        }
        // `-n`: a password prompt would hang where nobody is at the keyboard. `env`: sudo drops
        // variables that it is not told of, and without this one packages may ask questions.
        let prefix: &[&str] = match (self.is_root, self.has_sudo) {
            (true, _) => &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
            (false, true) => &["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
            (false, false) => {
                return Err(format!(
                    "installing needs root, and there is no sudo; as root, run: \
                     apt-get install --no-install-recommends {names}"
                ));
            }
        };
        let update = [prefix, &["update"]].concat();
        let install = [prefix, &["install", "-y", "--no-install-recommends"], packages].concat();
        Ok(vec![update, install])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(has_apt: bool, is_root: bool, has_sudo: bool) -> System {
        System { has_apt, is_root, has_sudo }
    }

    fn lines(system: &System) -> Vec<String> {
        let commands = system.commands(&["gcc", "libc6-dev"]).unwrap();
        commands.iter().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn root_needs_no_sudo() {
        assert_eq!(
            lines(&system(true, true, true)),
            [
                "env DEBIAN_FRONTEND=noninteractive apt-get update",
                "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
                 gcc libc6-dev"
            ]
        );
    }

    #[test]
    fn others_use_sudo_and_are_never_asked_for_a_password() {
        for line in lines(&system(true, false, true)) {
            assert!(line.starts_with("sudo -n env DEBIAN_FRONTEND=noninteractive apt-get "));
        }
    }

    #[test]
    fn who_cannot_install_is_told_the_exact_names() {
        for system in [system(false, true, true), system(true, false, false)] {
            let text = system.commands(&["gcc", "libc6-dev"]).unwrap_err();
            assert!(text.ends_with(" gcc libc6-dev"), "{text}");
        }
    }
}
