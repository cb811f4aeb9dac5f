//! Values that would be accepted here and refused, cut or misread by Sentry: found out at the start, while
//! somebody looks.
//!
//! What names may be is what Sentry documents and its own parser of releases checks.

use std::borrow::Cow;

use sentry::{ClientOptions, TracesSamplingStrategy};

use crate::error::{InitError, Invalid};
use crate::options::Options;

/// Longest release, environment and dist that Sentry takes.
const RELEASE_BYTES: usize = 200;
const ENVIRONMENT_BYTES: usize = 64;
const DIST_BYTES: usize = 64;

/// What is set where of what has a name in Sentry, before it is known what counts.
pub(crate) struct Origins {
    release: Option<Cow<'static, str>>,
    environment: Option<Cow<'static, str>>,
}

impl Origins {
    /// What is set in the options of `sentry`, over which nothing is set yet.
    pub(crate) fn of(sentry: &ClientOptions) -> Self {
        Self { release: sentry.release.clone(), environment: sentry.environment.clone() }
    }
}

/// Checks the limits that the options set.
pub(crate) fn limits(options: &Options) -> Result<(), InitError> {
    let nothing = [
        ("max_items", options.max_items == 0),
        ("max_bytes", options.max_bytes == 0),
        ("max_item_bytes", options.max_item_bytes == 0),
        ("max_age", options.max_age.is_zero()),
    ];
    for (option, is_nothing) in nothing {
        if is_nothing {
            let why = "nothing would ever be kept or sent; give a larger one, or leave it out for the \
                       default";
            return Err(invalid(option, &format!("`Options::{option}`"), "0", why));
        }
    }
    if options.cache_dir.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
        let why = "it is empty; name a directory, or leave it out for the default";
        return Err(invalid("directory", "`Options::cache_dir`", "", why));
    }
    if let TracesSamplingStrategy::FixedRate(rate) = options.sentry.traces_sampling_strategy
        && !(0.0..=1.0).contains(&rate)
    {
        let why = "it has to be between 0 and 1";
        return Err(invalid("traces sample rate", "`Options::sentry`", &rate.to_string(), why));
    }
    Ok(())
}

/// Checks release, environment and dist. `settled` has what counts of all that is set.
pub(crate) fn names(
    options: &Options,
    origins: &Origins,
    settled: &ClientOptions,
) -> Result<(), InitError> {
    if let Some(release) = &settled.release {
        let ours = (&options.sentry.release, &origins.release);
        let from = origin(ours, "release", ["SENTRY_RELEASE", "`Options::new`"]);
        let restricted = [".", "..", "latest"];
        if let Some(why) = fault(release, RELEASE_BYTES, &restricted, &['/', '\\']) {
            let why = format!("{why}; use something like \"my-app@1.0.0\", in at most 200 bytes");
            return Err(invalid("release", from, release, &why));
        }
    }
    if let Some(environment) = &settled.environment {
        let ours = (&options.sentry.environment, &origins.environment);
        let from = origin(ours, "environment", ["SENTRY_ENVIRONMENT"; 2]);
        let restricted = [".", "..", "none"];
        if let Some(why) = fault(environment, ENVIRONMENT_BYTES, &restricted, &['/']) {
            let why = format!("{why}; use something like \"production\", in at most 64 bytes");
            return Err(invalid("environment", from, environment, &why));
        }
    }
    let is_good = |dist: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        (1..=DIST_BYTES).contains(&dist.len()) && dist.chars().all(is_allowed)
    };
    if let Some(dist) = options.dist.as_deref().filter(|dist| !is_good(dist)) {
        let why = "Sentry takes none such; use 1 to 64 letters, digits, '_', '.' and '-'";
        return Err(invalid("dist", "`Options::dist`", dist, why));
    }
    Ok(())
}

fn invalid(what: &'static str, from: &str, value: &str, why: &str) -> InitError {
    InitError::Invalid(Invalid::new(what, from, value, why))
}

/// Where a value comes from: our option, the options of `sentry`, or else what is named last: the
/// environment if it has the variable, and otherwise what the default is made of.
fn origin(
    (set, of_sentry): (&Option<Cow<'static, str>>, &Option<Cow<'static, str>>),
    option: &'static str,
    [variable, default]: [&'static str; 2],
) -> &'static str {
    match (set, of_sentry) {
        (Some(set), Some(of_sentry)) if set == of_sentry => "`Options::sentry`",
        (Some(_), _) if option == "release" => "`Options::release`",
        (Some(_), _) => "`Options::environment`",
        (None, _) if std::env::var_os(variable).is_some_and(|set| !set.is_empty()) => variable,
        (None, _) => default,
    }
}

/// What Sentry would not take a name for.
fn fault(
    name: &str,
    most: usize,
    restricted: &[&str],
    separators: &[char],
) -> Option<Cow<'static, str>> {
    let is_bad = |c: &char| c.is_control() || separators.contains(c);
    if name.trim().is_empty() {
        Some("it is empty".into())
    } else if restricted.iter().any(|name_of_sentrys| name.eq_ignore_ascii_case(name_of_sentrys)) {
        Some("Sentry means something else by it".into())
    } else if let Some(bad) = name.chars().find(is_bad) {
        Some(format!("Sentry takes none with {bad:?} in it").into())
    } else if name.len() > most {
        Some(format!("it has {} bytes", name.len()).into())
    } else {
        None
    }
}
