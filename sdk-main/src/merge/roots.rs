//! Paths below the application's directories become `app:///…`, so that the same frame looks the same
//! on every machine; and what is left of people's home directories becomes `~/…`, since their names
//! are the users'.

use std::path::Path;

use super::percent;

/// The directories in which the application is installed.
///
/// A path is recognised as it is, as a `file:` URL with or without percent-encoding, and anywhere in a
/// text such as the description of a span. A directory that only begins with the same letters is
/// another one. Directories of Windows are compared whatever the case and the direction of slashes,
/// all others exactly. URLs of other schemes, such as `tauri://localhost/…`, `https://tauri.localhost/…`
/// or those of a custom protocol, say nothing of the machine and stay as they are.
///
/// ```
/// use guardhouse_main::merge::Roots;
///
/// let roots = Roots::new(["/opt/My App"]);
/// assert_eq!(roots.rewrite("file:///opt/My%20App/ui/a.js").unwrap(), "app:///ui/a.js");
/// assert_eq!(roots.rewrite("/opt/My Apples/a.js"), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Roots {
    apps: Vec<Root>,
    homes: Vec<Root>,
}

#[derive(Clone, Debug)]
struct Root {
    /// With slashes, and none at either end.
    path: String,
    /// The last part of it.
    name: String,
    style: Style,
    /// Whether it is not meant itself, but each of the directories in it.
    is_parent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `/opt/app`
    Unix,
    /// `C:\app`
    Drive,
    /// `\\server\share\app`
    Share,
}

impl Roots {
    /// These directories. One that would be all of a file system is left out.
    pub fn new(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let apps = paths.into_iter().filter_map(|path| Root::new(&path.as_ref().to_string_lossy()));
        Self { apps: apps.collect(), homes: Vec::new() }
    }

    /// The same, and home directories become `~`: this one, and whatever is where such directories
    /// are, on this machine or on the one that the application was built on.
    ///
    /// ```
    /// use guardhouse_main::merge::Roots;
    ///
    /// let roots = Roots::new(["/home/zoe/desk"]).and_homes(Some("/srv/zoe"));
    /// assert_eq!(roots.rewrite("/home/zoe/desk/a.js").unwrap(), "app:///a.js");
    /// assert_eq!(roots.rewrite("file:///home/zoe/b.rs").unwrap(), "~/b.rs");
    /// assert_eq!(roots.rewrite("/srv/zoe/c.rs").unwrap(), "~/c.rs");
    /// ```
    #[must_use]
    pub fn and_homes(mut self, own: Option<impl AsRef<Path>>) -> Self {
        // Windows builds for Windows, and to look for drives costs more.
        let parents = if cfg!(windows) { &HOMES[..] } else { &HOMES[..2] };
        let parents = parents.iter().filter_map(|path| Root::new(path));
        self.homes = parents.map(|parent| Root { is_parent: true, ..parent }).collect();
        let own = own.and_then(|path| Root::new(&path.as_ref().to_string_lossy()));
        // One that lies deeper than usual says more.
        self.homes.splice(..0, own);
        self
    }

    /// The text with what is below one of the directories as `app:///…` or `~/…`; nothing, if there is
    /// nothing of the kind.
    ///
    /// Of home directories it is the user's own, and in `file:` URLs all: `/home/news` may well be a
    /// route of the application.
    pub fn rewrite(&self, text: &str) -> Option<String> {
        rewrite(text, self.all(), false)
    }

    /// The same for what is known to be a path, or to hold none but such.
    pub(super) fn rewrite_path(&self, text: &str) -> Option<String> {
        rewrite(text, self.all(), true)
    }

    fn all(&self) -> impl Iterator<Item = (&Root, &'static str)> + Clone {
        let apps = self.apps.iter().map(|root| (root, APP));
        apps.chain(self.homes.iter().map(|root| (root, HOME)))
    }

    /// Whether JSON may hold a text that [`rewrite`](Self::rewrite) changes: a look that costs little,
    /// before one that costs more.
    pub(super) fn may_be_in(&self, json: &str) -> bool {
        let mut roots = self.apps.iter().chain(&self.homes).peekable();
        // On Unix the name of the directory is there as it is, if nothing is encoded or escaped.
        roots.peek().is_some()
            && (json.contains('%')
                || json.contains('\\')
                || roots.any(|root| root.style != Style::Unix || json.contains(&*root.name)))
    }
}

/// What stands for the directory of the application, and for a home directory.
const APP: &str = "app:///";
const HOME: &str = "~/";

/// Where home directories are.
const HOMES: [&str; 3] = ["/home", "/Users", "C:\\Users"];

fn rewrite<'r>(
    text: &str,
    roots: impl Iterator<Item = (&'r Root, &'static str)> + Clone,
    is_path: bool,
) -> Option<String> {
    if !(text.contains('/') || text.contains('\\')) {
        return None;
    }
    let mut out = String::new();
    let mut written = 0;
    let behind_boundaries = text
        .char_indices()
        .filter(|(_, character)| is_boundary(*character))
        .map(|(at, character)| at + character.len_utf8());
    for at in std::iter::once(0).chain(behind_boundaries) {
        if at < written {
            continue;
        }
        let found =
            roots.clone().find_map(|(root, to)| Some((root.find(&text[at..], is_path)?, to)));
        if let Some(((rest, end), to)) = found {
            out.push_str(&text[written..at]);
            out.push_str(to);
            out.push_str(&rest);
            written = at + end;
        }
    }
    if written == 0 {
        return None;
    }
    out.push_str(&text[written..]);
    Some(out)
}

/// What may stand before a path in a text, and behind one that goes on below a directory.
fn is_boundary(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '"' | '\''
                | '`'
                | '('
                | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '<'
                | '>'
                | '='
                | ','
                | ';'
                | '|'
                | '@'
        )
}

/// What may stand behind the directory itself. A space may be part of another one's name.
const ENDS: [char; 9] = ['?', '#', ':', '"', '\'', '`', ')', ']', '>'];

impl Root {
    fn new(path: &str) -> Option<Self> {
        // What Windows puts before a path to say that it is not to be interpreted.
        let path = path.strip_prefix(r"\\?\").unwrap_or(path);
        let bytes = path.as_bytes();
        let style = match bytes {
            [letter, b':', ..] if letter.is_ascii_alphabetic() => Style::Drive,
            [b'\\', b'\\', ..] => Style::Share,
            [b'/', ..] => Style::Unix,
            _ => return None,
        };
        let path = match style {
            Style::Unix => path.to_owned(),
            Style::Drive | Style::Share => path.replace('\\', "/"),
        };
        let path = path.trim_matches('/').to_owned();
        let is_all_of_it = path.is_empty() || (style == Style::Drive && path.len() == 2);
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        (!is_all_of_it).then_some(Self { path, name, style, is_parent: false })
    }

    /// If `text` begins with a path below the directory: what stands below it, and where in the text
    /// it ends. `is_path` says that it cannot be anything but a path.
    fn find(&self, text: &str, is_path: bool) -> Option<(String, usize)> {
        let is_url = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"));
        if self.is_parent && !is_url && !is_path {
            return None;
        }
        let mut at = if is_url { 5 } else { 0 };
        let is_slash =
            |character: char| character == '/' || (character == '\\' && self.style != Style::Unix);
        let slashes = text[at..].chars().take_while(|character| is_slash(*character)).count();
        at += slashes;
        if is_url && let Some(rest) = text[at..].strip_prefix("localhost/") {
            at = text.len() - rest.len();
        }
        if text[..at].ends_with(r"\\") && text[at..].starts_with(r"?\") {
            at += 2;
        }
        let needed = match self.style {
            Style::Drive => 0,
            Style::Unix => 1,
            Style::Share => 2,
        };
        if slashes < needed {
            return None;
        }
        let next = |at: usize| match is_url {
            true => percent::first(&text[at..]),
            false => text[at..].chars().next().map(|next| (next, next.len_utf8())),
        };
        for expected in self.path.chars() {
            let (character, length) = next(at)?;
            let is_same = match self.style {
                Style::Unix => character == expected,
                Style::Drive | Style::Share => {
                    (is_slash(character) && expected == '/')
                        || character.to_lowercase().eq(expected.to_lowercase())
                }
            };
            if !is_same {
                return None;
            }
            at += length;
        }
        if self.is_parent {
            let slashes: usize = text[at..].chars().take_while(|next| is_slash(*next)).count();
            let is_part = |next: &char| {
                !is_slash(*next) && *next != ':' && (*next == ' ' || !is_boundary(*next))
            };
            let name: usize =
                text[at + slashes..].chars().take_while(is_part).map(char::len_utf8).sum();
            if slashes == 0 || name == 0 {
                return None;
            }
            at += slashes + name;
        }
        match next(at) {
            None => {}
            Some((character, _)) if is_slash(character) => {}
            Some((_, length)) if text[at..at + length].contains(ENDS) => {}
            // It is another directory, whose name is longer.
            Some(_) => return None,
        }
        let mut rest = String::new();
        while let Some((character, length)) = next(at) {
            let written = &text[at..at + length];
            if written.contains(is_boundary) || written.contains(['?', '#']) {
                break;
            }
            match is_slash(character) {
                true if rest.is_empty() => {}
                true => rest.push('/'),
                false => rest.push(character),
            }
            at += length;
        }
        Some((rest, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(root: &str, cases: &[(&str, Option<&str>)]) {
        let roots = Roots::new([root]);
        for (before, after) in cases {
            assert_eq!(roots.rewrite(before).as_deref(), *after, "{before} below {root}");
        }
    }

    #[test]
    fn paths_and_file_urls_below_the_application_are_the_applications() {
        rewritten(
            "/opt/my app/",
            &[
                ("/opt/my app/a.js", Some("app:///a.js")),
                ("//opt/my app//a.js", Some("app:///a.js")),
                ("file:///opt/my app/a.js", Some("app:///a.js")),
                ("FILE:/opt/my%20app/b%20c/d.js?x=%20#y", Some("app:///b c/d.js?x=%20#y")),
                ("file://localhost/opt/my%20app/a.js:3:4", Some("app:///a.js:3:4")),
                ("/opt/my app", Some("app:///")),
                ("file:///opt/my%20app/%2Fa%C3%A9", Some("app:///%2Faé")),
            ],
        );
    }

    #[test]
    fn they_are_found_inside_of_a_text() {
        rewritten(
            "/opt/app",
            &[
                ("GET file:///opt/app/a.js (/opt/app/b.js)", Some("GET app:///a.js (app:///b.js)")),
                ("url=\"/opt/app/a\"", Some("url=\"app:///a\"")),
                ("see /srv/opt/app/a.js", None),
            ],
        );
    }

    #[test]
    fn another_directory_is_another_directory() {
        rewritten(
            "/opt/app",
            &[
                ("/opt/apple/a.js", None),
                ("/opt/app-2/a.js", None),
                ("/opt/app 2/a.js", None),
                ("file:///opt/app%202/a.js", None),
                ("/opt/App/a.js", None),
                ("opt/app/a.js", None),
                ("/home/opt/app/a.js", None),
                ("/opt/app%2Fa.js", None),
                ("\\opt\\app\\a.js", None),
            ],
        );
    }

    #[test]
    fn urls_that_say_nothing_of_the_machine_stay() {
        rewritten(
            "/opt/app",
            &[
                ("tauri://localhost/opt/app/a.js", None),
                ("https://tauri.localhost/opt/app/a.js", None),
                ("wry://opt/app/a.js", None),
                ("app:///a.js", None),
                ("<anonymous>", None),
            ],
        );
    }

    #[test]
    fn windows_is_indifferent_to_case_and_slashes() {
        let cases = [
            (r"C:\Program Files\Desk\a.js", Some("app:///a.js")),
            (r"c:\program files\DESK\ui\a.js", Some("app:///ui/a.js")),
            ("file:///C:/Program%20Files/Desk/ui/a.js", Some("app:///ui/a.js")),
            ("/c:/Program Files/desk/a.js", Some("app:///a.js")),
            (r"\\?\C:\Program Files\Desk\a.js", Some("app:///a.js")),
            (r"C:\Program Files\Desktop\a.js", None),
            (r"D:\Program Files\Desk\a.js", None),
        ];
        rewritten(r"C:\Program Files\Desk", &cases);
        rewritten(r"\\?\c:\program files\desk\", &cases);
        rewritten(
            r"\\Server\Share\Desk",
            &[
                (r"\\server\share\desk\a.js", Some("app:///a.js")),
                ("file://server/share/desk/a.js", Some("app:///a.js")),
                (r"server\share\desk\a.js", None),
            ],
        );
    }

    #[test]
    fn home_directories_are_nobodys() {
        let roots = Roots::new(["/home/zoe/desk"]).and_homes(Some("/var/people/zoe"));
        for (before, after) in [
            ("/home/zoe/desk/a.js", Some("app:///a.js")),
            ("/home/zoe/desktop/a.js", Some("~/desktop/a.js")),
            ("/home/builder/.cargo/registry/src/x/lib.rs", Some("~/.cargo/registry/src/x/lib.rs")),
            ("/Users/zoe/a.rs", Some("~/a.rs")),
            ("file:///home/zo%C3%AB/a.html?x=1", Some("~/a.html?x=1")),
            ("open /home/zoe/a (of /var/people/zoe/b)", Some("open ~/a (of ~/b)")),
            ("/Users/Zoe Q/a.rs", Some("~/a.rs")),
            ("/home/zoe", Some("~/")),
            ("/home/zoe:3:4", Some("~/:3:4")),
            ("/home", None),
            ("/home/", None),
            ("/homes/zoe/a.rs", None),
            ("/srv/home/zoe/a.rs", None),
            ("https://example.com/home/zoe/a.js", None),
        ] {
            assert_eq!(roots.rewrite_path(before).as_deref(), after, "{before}");
        }
        assert_eq!(roots.rewrite("/home/news"), None);
        assert_eq!(roots.rewrite("file:///home/zoe/a").as_deref(), Some("~/a"));
        assert_eq!(roots.rewrite("of /var/people/zoe/a").as_deref(), Some("of ~/a"));
        assert!(roots.may_be_in("/home/x") && !roots.may_be_in("https://example.com/a.js"));
    }

    #[test]
    fn home_directories_of_windows_are_nobodys() {
        let roots = Roots::new(["D:\\desk"]).and_homes(Some("D:\\People\\Zoe"));
        assert_eq!(roots.rewrite("d:\\people\\zoe\\a.rs").as_deref(), Some("~/a.rs"));
        if cfg!(windows) {
            assert_eq!(roots.rewrite_path("c:\\users\\zoe\\a.rs").as_deref(), Some("~/a.rs"));
        }
    }

    #[test]
    fn all_of_a_file_system_is_no_application() {
        for root in ["/", "", "C:\\", "C:", "relative/app", "\\\\"] {
            assert!(Roots::new([root]).apps.is_empty(), "{root}");
        }
    }
}
