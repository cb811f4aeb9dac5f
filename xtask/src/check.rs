//! `cargo xtask check bugsink` and `check relay`: what others make of what we send.
//!
//! Both install a Python package into a virtual environment below the target directory, from PyPI, and
//! so are no part of `cargo xtask test`. They need Python 3 with its module `venv`. Nothing of what
//! they install is part of what is built.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Failure;
use crate::workspace::{cargo, root, succeeds, target};

/// How long a server may take to start, on a machine that is busy.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// What the example says in each of its processes, in a breadcrumb or at its end.
const OF_MAIN: &str = "opened budget.sheet";
const OF_CHILD: &str = "the user clicked Save";

/// The events of the example, by how they are told from each other, and whose breadcrumbs they have.
const EVENTS: [(&str, &[&str]); 4] = [
    ("the disk is full", &[OF_MAIN, OF_CHILD]),
    ("sheet 42 has no columns", &[OF_MAIN, OF_CHILD, "began to index 41 sheets"]),
    ("'settings' process exited with 'killed'", &[OF_MAIN, OF_CHILD]),
    ("both renderers are gone", &[OF_MAIN]),
];

/// Runs one of the checks.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    match arguments {
        [name] if name == "bugsink" => Ok(bugsink()?),
        [name] if name == "relay" => Ok(relay()?),
        _ => Err(Failure::Usage("say what to check: `bugsink` or `relay`".into())),
    }
}

/// Runs the example against a Bugsink that takes of an event only what Sentry's schema lists.
fn bugsink() -> Result<(), String> {
    let python = Python::with("bugsink")?;
    let folder = Folder::new()?;
    let settings = |command: &mut Command| {
        command
            .env("GUARDHOUSE_CHECK_FOLDER", &folder.0)
            .env("DJANGO_SETTINGS_MODULE", "bugsink_conf")
            .env("PYTHONPATH", scripts())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HOME", &folder.0)
            .current_dir(&folder.0);
    };
    for more in [&["--verbosity", "0"][..], &["--verbosity", "0", "--database=snappea", "snappea"]]
    {
        let mut migrate = python.program("bugsink-manage");
        settings(migrate.arg("migrate").args(more));
        expect(&mut migrate, "Bugsink's database could not be made")?;
    }
    let mut project = python.script("bugsink_project.py");
    settings(&mut project);
    let said = output(&mut project)?;
    let (number, key) = said
        .lines()
        .last()
        .and_then(|line| line.split_once(' '))
        .ok_or_else(|| format!("Bugsink made no project; it said {said:?}"))?;

    let port = free_port()?;
    let mut gunicorn = python.program("gunicorn");
    gunicorn.args(["--bind", &format!("127.0.0.1:{port}"), "--workers", "1", "--threads", "4"]);
    settings(gunicorn.args(["--no-control-socket", "--log-level", "warning", "bugsink.wsgi"]));
    let server = Server::start(&mut gunicorn, port)?;

    println!("the example runs, with {number} as its project");
    let build = ["build", "--quiet", "--locked", "--package", "guardhouse-example-native"];
    expect(&mut cargo(build), "the example does not build")?;
    let example = target().join("debug").join("guardhouse-example-native");
    let mut example = Command::new(example);
    example
        .env("SENTRY_DSN", format!("http://{key}@127.0.0.1:{port}/{number}"))
        .env("SENTRY_RELEASE", "desk@5.1.0")
        .env("SENTRY_ENVIRONMENT", "check")
        .env("XDG_CACHE_HOME", folder.0.join("cache"))
        .env("XDG_RUNTIME_DIR", folder.0.join("run"));
    fs::create_dir_all(folder.0.join("run")).map_err(|error| error.to_string())?;
    expect(&mut example, "the example failed")?;
    drop(server);

    let mut stored = python.script("bugsink_stored.py");
    settings(&mut stored);
    let stored: Vec<Value> = output(&mut stored)?
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    for (said, breadcrumbs) in EVENTS {
        is_stored(&stored, said, breadcrumbs)?;
        println!("stored, with release, environment and the breadcrumbs of each process: {said}");
    }
    if stored.len() != EVENTS.len() {
        return Err(format!("{} events were stored instead of {}", stored.len(), EVENTS.len()));
    }
    println!("Bugsink takes all that the example sends, with strict validation");
    Ok(())
}

/// Whether an event is among those that are stored, as it should be.
fn is_stored(stored: &[Value], said: &str, breadcrumbs: &[&str]) -> Result<(), String> {
    let event = stored
        .iter()
        .find(|event| guardhouse_tests::sentry::message_of(event) == Some(said))
        .ok_or_else(|| format!("Bugsink has not stored {said:?}; see what it says above"))?;
    let facts = [("release", "desk@5.1.0"), ("environment", "check")];
    for (member, value) in facts {
        if event[member] != value {
            return Err(format!("{member} of {said:?} is {}", event[member]));
        }
    }
    let values = event["breadcrumbs"]["values"].as_array().map_or(&[][..], Vec::as_slice);
    for wanted in breadcrumbs {
        if !values.iter().any(|breadcrumb| breadcrumb["message"] == *wanted) {
            return Err(format!("{said:?} has no breadcrumb {wanted:?}"));
        }
    }
    Ok(())
}

/// Has Relay's own code look at everything that the tests send.
fn relay() -> Result<(), String> {
    let python = Python::with("sentry-relay")?;
    let folder = Folder::new()?;
    let mut tests = cargo(["test", "--quiet", "--locked", "--no-fail-fast"]);
    tests.args(["--package", "guardhouse-tests"]);
    for name in ["features", "house", "renderers", "session"] {
        tests.args(["--test", name]);
    }
    tests.env("GUARDHOUSE_RECORD", &folder.0);
    if !succeeds(&mut tests)? {
        // Whether they succeed is for `cargo xtask test`; what they have sent is there to be looked at.
        println!("not all tests succeeded; Relay looks at what they have sent all the same");
    }
    let mut look = python.script("relay.py");
    look.arg(&folder.0);
    expect(&mut look, "Relay finds fault with what it lists above")
}

/// A Python with a package of PyPI.
struct Python {
    programs: PathBuf,
}

impl Python {
    /// Installs the package, if that has not been done.
    fn with(package: &str) -> Result<Self, String> {
        let venv = target().join("check").join(package);
        let done = venv.join("is-installed");
        let python = Self { programs: venv.join("bin") };
        if !done.exists() {
            println!("installs {package} from PyPI, for this check only");
            let mut make = Command::new("python3");
            make.args(["-m", "venv"]).arg(&venv);
            expect(&mut make, "install Python 3 with its module venv (Debian: python3-venv)")?;
            let mut install = python.program("python");
            install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            expect(install.arg(package), "look at what pip says above")?;
            fs::write(&done, "").map_err(|error| error.to_string())?;
        }
        Ok(python)
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// One of our scripts.
    fn script(&self, name: &str) -> Command {
        let mut command = self.program("python");
        command.arg(scripts().join(name));
        command
    }
}

fn scripts() -> PathBuf {
    root().join("xtask").join("src").join("check")
}

/// A server that ends with us.
struct Server(Child);

impl Server {
    fn start(command: &mut Command, port: u16) -> Result<Self, String> {
        let mut server = Self(command.spawn().map_err(|error| error.to_string())?);
        let deadline = Instant::now() + STARTS_WITHIN;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Ok(Some(status)) = server.0.try_wait() {
                return Err(format!("the server ended with {status}; see what it says above"));
            }
            if Instant::now() > deadline {
                return Err(format!("the server does not listen after {STARTS_WITHIN:?}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends its workers only when it is asked to.
        #[cfg(unix)]
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        #[cfg(not(unix))]
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder for one check.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let name = format!("guardhouse-check-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).map_err(|error| error.to_string())?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

fn expect(command: &mut Command, otherwise: &str) -> Result<(), String> {
    if succeeds(command)? { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// What a command prints, if it succeeds.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| {
        format!("{} could not be started: {error}", command.get_program().display())
    })?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", command.get_program().display(), output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}
