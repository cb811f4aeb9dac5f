use guardhouse_protocol::json::Value;

use super::*;

fn gathered() -> Contexts {
    let app = App::new("notes", "1.4.2");
    gather(&app, Timestamp::from_unix(1_795_193_675, 590_000_000))
}

fn text(contexts: &Contexts, context: &str, member: &str) -> Option<String> {
    let context = contexts.get(context)?.as_object()?;
    context.get(member)?.as_str().map(Into::into)
}

fn number(contexts: &Contexts, context: &str, member: &str) -> Option<u64> {
    contexts.get(context)?.as_object()?.get(member)?.as_u64()
}

#[test]
fn what_every_system_tells_is_there() {
    let contexts = gathered();
    let names: Vec<_> = contexts.iter().map(|(name, _)| name).collect();
    for name in ["app", "device", "os", "runtime"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(text(&contexts, "app", "app_version").as_deref(), Some("1.4.2"));
    assert_eq!(
        text(&contexts, "app", "app_start_time").as_deref(),
        Some("2026-11-20T16:54:35.590Z")
    );
    assert_eq!(text(&contexts, "runtime", "name").as_deref(), Some("rustc"));
    // As it says itself: `1.95.0`, or `1.97.0-nightly`.
    let version = text(&contexts, "runtime", "version").unwrap();
    assert!(version.split('.').count() >= 3 && version.starts_with('1'), "{version}");
    assert_eq!(text(&contexts, "runtime", "type").as_deref(), Some("runtime"));
    assert_eq!(text(&contexts, "device", "family").as_deref(), Some("Desktop"));
    assert!(number(&contexts, "device", "processor_count").unwrap() > 0);
    assert!(text(&contexts, "os", "name").is_some());
}

#[cfg(target_os = "linux")]
#[test]
fn linux_tells_its_kernel_and_memory() {
    let contexts = gathered();
    assert_eq!(text(&contexts, "os", "name").as_deref(), Some("Linux"));
    assert!(text(&contexts, "os", "kernel_version").is_some());
    let memory = |context, member| number(&contexts, context, member).unwrap();
    let total = memory("device", "memory_size");
    assert!(memory("device", "free_memory") <= total);
    let of_app = memory("app", "app_memory");
    assert!((1 << 16..total).contains(&of_app), "{of_app}");
}

#[test]
fn no_machine_and_no_user_is_named() {
    let mut secrets = Vec::new();
    for name in ["USER", "LOGNAME", "USERNAME", "HOME", "USERPROFILE", "HOSTNAME", "COMPUTERNAME"] {
        secrets.extend(std::env::var(name));
    }
    #[cfg(unix)]
    secrets.extend(rustix::system::uname().nodename().to_str().map(str::to_owned));
    for (name, context) in gathered().iter() {
        let mut strings = Vec::new();
        collect(context.as_value(), &mut strings);
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            let names = |string: &String| {
                // A path is one anywhere; a short name only as a word of its own.
                string.split(|c: char| !c.is_alphanumeric()).any(|word| word == secret)
                    || secret.len() > 3 && string.contains(secret.as_str())
            };
            let found = strings.iter().find(|string| names(string));
            assert_eq!(found, None, "the context {name} has {secret:?} in it");
        }
    }
}

fn collect(value: Value<'_>, strings: &mut Vec<String>) {
    strings.extend(value.as_str().map(String::from));
    for member in value.as_object().iter().flat_map(|object| object.members()) {
        collect(member.value(), strings);
    }
}

#[test]
fn what_a_host_knows_is_added_and_refreshing_keeps_it() {
    let mut contexts = gathered();
    contexts.set_screen(Screen { width: 2560, height: 1440, density: 1.5 });
    contexts.add("gpu", &Json::parse(br#"{"name":"a","id":1}"#).unwrap());
    contexts.add("gpu", &Json::parse(br#"{"name":"b"}"#).unwrap());
    contexts.add("gpu", &Json::from("no object"));
    contexts.refresh();
    assert_eq!(contexts.get("gpu").unwrap().text(), r#"{"name":"b","id":1}"#);
    assert_eq!(text(&contexts, "device", "screen_resolution").as_deref(), Some("2560x1440"));
    assert_eq!(text(&contexts, "device", "family").as_deref(), Some("Desktop"));
    let before: Vec<_> = contexts.iter().map(|(_, json)| json.as_object().unwrap().len()).collect();
    contexts.refresh();
    let after: Vec<_> = contexts.iter().map(|(_, json)| json.as_object().unwrap().len()).collect();
    assert_eq!(before, after, "nothing stands twice");
}

#[test]
fn guardhouse_tells_how_renderers_reach_it() {
    assert_eq!(
        guardhouse(IpcMode::Both, &Namespace::DEFAULT, 2).text(),
        r#"{"ipc_mode":"both","ipc_namespace":"sentry-ipc","renderers":2}"#
    );
}

#[test]
fn a_distribution_says_its_name_in_quotes_of_any_kind() {
    let release = "NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\n\
                   PRETTY_NAME=\"Debian \\\"GNU\\\" 12\"\nHOME_URL=x\n";
    assert_eq!(
        os::distribution(release).unwrap(),
        [
            ("distribution_name", "debian"),
            ("distribution_version", "12"),
            ("distribution_pretty_name", "Debian \"GNU\" 12"),
        ]
        .map(|(member, value)| (member, value.to_owned()))
    );
    assert_eq!(os::distribution("ID=arch").unwrap(), [("distribution_name", "arch".to_owned())]);
    for none in ["", "ID=", "ID=\"\"", "ID_LIKE=debian", "ID"] {
        assert_eq!(os::distribution(none), None, "{none}");
    }
    assert!(os::distribution("ID=\"").is_some());
}

#[test]
fn a_property_list_says_a_version() {
    let text = "<plist version=\"1.0\">\n<dict>\n\t<key>ProductBuildVersion</key>\n\
                \t<string>20C69</string>\n\t<key>ProductVersion</key><string>11.1</string>\n";
    let value = |key| os::plist_string(text, key);
    assert_eq!(value("ProductVersion").as_deref(), Some("11.1"));
    assert_eq!(value("ProductBuildVersion").as_deref(), Some("20C69"));
    assert_eq!(value("ProductName"), None);
    for broken in ["<key>a</key>", "<key>a</key><string>", "<key>a</key><true/><string>b</string>"]
    {
        assert_eq!(os::plist_string(broken, "a"), None, "{broken}");
    }
}

#[test]
fn a_locale_is_read_as_the_c_library_would() {
    let of = |all: &str, lang: &str| {
        culture::locale(|name| match name {
            "LC_ALL" => Some(all.into()),
            "LANG" => Some(lang.into()),
            _ => None,
        })
    };
    assert_eq!(of("", "de_AT.UTF-8").as_deref(), Some("de-AT"));
    assert_eq!(of("sr_RS@latin", "de").as_deref(), Some("sr-RS"));
    assert_eq!(of("", "pt-BR").as_deref(), Some("pt-BR"));
    for none in ["C.UTF-8", "POSIX", "", "/home/somebody", "a b"] {
        assert_eq!(of("", none), None, "{none}");
    }
}

#[test]
fn a_time_zone_is_a_name_and_never_a_path() {
    assert_eq!(culture::zone_of_variable(":Europe/Vienna").as_deref(), Some("Europe/Vienna"));
    assert_eq!(culture::zone_of_variable("UTC").as_deref(), Some("UTC"));
    assert_eq!(
        culture::zone_of_variable("/usr/share/zoneinfo/posix/Etc/GMT+5").as_deref(),
        Some("Etc/GMT+5")
    );
    assert_eq!(
        culture::zone_of_path("/var/db/timezone/zoneinfo/America/St_Johns").as_deref(),
        Some("America/St_Johns")
    );
    for none in ["", ":", "/home/somebody/zone", "CET-1CEST,M3.5.0,M10.5.0/3", "../../etc"] {
        assert_eq!(culture::zone_of_variable(none), None, "{none}");
    }
}

#[test]
fn memory_and_models_are_read_and_placeholders_are_not() {
    let text = "VmPeak:\t 9 kB\nVmRSS:\t    1712 kB\nMemTotal: 3 pages\n";
    assert_eq!(memory::kibibytes(text, "VmRSS"), Some(1712 * 1024));
    for none in ["VmHWM", "MemTotal", "Vm"] {
        assert_eq!(memory::kibibytes(text, none), None, "{none}");
    }
    assert_eq!(memory::kibibytes(&format!("a: {} kB", u64::MAX), "a"), None);
    assert_eq!(model::name("ThinkPad X1\n").as_deref(), Some("ThinkPad X1"));
    assert_eq!(model::name("Raspberry Pi 5\0").as_deref(), Some("Raspberry Pi 5"));
    for none in ["", "\n", "To Be Filled By O.E.M.\n", "System Product Name", "None"] {
        assert_eq!(model::name(none), None, "{none}");
    }
}
