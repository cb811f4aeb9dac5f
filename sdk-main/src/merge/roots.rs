//! Paths below the application's directories become `app:///…`, so that the same frame looks the same
//! on every machine, and no user's name is in it.

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
pub struct Roots(Vec<Root>);

#[derive(Clone, Debug)]
struct Root {
    /// With slashes, and none at either end.
    path: String,
    /// The last part of it.
    name: String,
    style: Style,
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
        Self(
            paths
                .into_iter()
                .filter_map(|path| Root::new(&path.as_ref().to_string_lossy()))
                .collect(),
        )
    }

    /// The text with what is below one of the directories as `app:///…`; nothing, if there is nothing
    /// of the kind.
    pub fn rewrite(&self, text: &str) -> Option<String> {
        if self.0.is_empty() || !(text.contains('/') || text.contains('\\')) {
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
            if let Some((rest, end)) = self.0.iter().find_map(|root| root.find(&text[at..])) {
                out.push_str(&text[written..at]);
                out.push_str("app:///");
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

    /// Whether JSON may hold a text that [`rewrite`](Self::rewrite) changes: a look that costs little,
    /// before one that costs more.
    pub(super) fn may_be_in(&self, json: &str) -> bool {
        self.0.iter().any(|root| match root.style {
            // Nothing is encoded or escaped, so the name of the directory is there as it is.
            Style::Unix => json.contains(&*root.name) || json.contains('%') || json.contains('\\'),
            Style::Drive | Style::Share => true,
        })
    }
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
        (!is_all_of_it).then_some(Self { path, name, style })
    }

    /// If `text` begins with a path below the directory: what stands below it, and where in the text
    /// it ends.
    fn find(&self, text: &str) -> Option<(String, usize)> {
        let is_url = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"));
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
    fn all_of_a_file_system_is_no_application() {
        for root in ["/", "", "C:\\", "C:", "relative/app", "\\\\"] {
            assert!(Roots::new([root]).0.is_empty(), "{root}");
        }
    }
}
