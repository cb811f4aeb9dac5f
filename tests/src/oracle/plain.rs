//! JSON done plainly: a tree that keeps how everything is written.
//!
//! It is what [`Splice`](guardhouse_protocol::json::Splice) promises, with nothing clever in it: each
//! change is made at once, on strings. Where the members of a text are it takes from
//! [`Object`], which is held against `serde_json` elsewhere.

use guardhouse_protocol::json::Object;

/// A value.
#[derive(Clone, Debug)]
pub enum Node {
    /// One that is not looked into.
    Leaf(String),
    /// An object.
    Tree(Tree),
}

/// An object, cut between its members: put together again, the pieces are the text.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Up to and with the opening brace.
    open: String,
    /// White space behind it.
    lead: String,
    members: Vec<Member>,
    /// White space behind the last member and all the rest.
    close: String,
}

#[derive(Clone, Debug)]
struct Member {
    /// With its quotes.
    key: String,
    colon: String,
    value: Node,
    /// The comma and the white space up to the next member; nothing, if there is none.
    comma: String,
}

impl Node {
    /// Cuts a value up.
    pub fn parse(text: &str) -> Self {
        match Object::parse(text.as_bytes()) {
            Ok(_) => Self::Tree(Tree::parse(text)),
            Err(_) => Self::Leaf(text.to_owned()),
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::Tree(tree) => tree.write(out),
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Leaf(text) if text == "null")
    }
}

impl Tree {
    /// Cuts an object up.
    pub fn parse(text: &str) -> Self {
        let object = Object::parse(text.as_bytes()).expect("the caller has checked that");
        let place = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
        let brace = text.find('{').expect("an object has a brace") + 1;

        let places: Vec<_> = object
            .members()
            .map(|member| {
                let key = place(member.raw_key()) - 1
                    ..place(member.raw_key()) + member.raw_key().len() + 1;
                let value = place(member.value().text());
                (key, value..value + member.value().text().len())
            })
            .collect();
        let starts = places.iter().skip(1).map(|(key, _)| Some(key.start)).chain([None]);
        let members = places
            .iter()
            .zip(starts)
            .map(|((key, value), next)| Member {
                key: text[key.clone()].to_owned(),
                colon: text[key.end..value.start].to_owned(),
                value: Node::parse(&text[value.clone()]),
                comma: next.map_or_else(String::new, |next| text[value.end..next].to_owned()),
            })
            .collect();
        let (lead, close) = match (places.first(), places.last()) {
            (Some((first, _)), Some((_, last))) => (brace..first.start, last.end..text.len()),
            _ => (brace..brace, brace..text.len()),
        };
        Self {
            open: text[..brace].to_owned(),
            lead: text[lead].to_owned(),
            members,
            close: text[close].to_owned(),
        }
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        out.push_str(&self.open);
        out.push_str(&self.lead);
        for member in &self.members {
            out.push_str(&member.key);
            out.push_str(&member.colon);
            member.value.write(out);
            out.push_str(&member.comma);
        }
        out.push_str(&self.close);
    }

    /// Puts a value at the path. `None` if the path leads through something that is not an object.
    pub fn set(&mut self, path: &[&str], value: &str) -> Option<()> {
        let (key, parents) = path.split_last()?;
        self.at(parents, true)??.put(&units_of(key), value);
        Some(())
    }

    /// Puts a value where nothing, or `null`, is.
    pub fn insert(&mut self, path: &[&str], value: &str) -> Option<()> {
        let (key, parents) = path.split_last()?;
        let key = units_of(key);
        if self.at(parents, false)?.is_none_or(|parent| parent.is_free(&key)) {
            self.set(path, value)?;
        }
        Some(())
    }

    /// Takes a member out.
    pub fn remove(&mut self, path: &[&str]) -> Option<()> {
        let (key, parents) = path.split_last()?;
        if let Some(parent) = self.at(parents, false)? {
            let key = units_of(key);
            while let Some(index) = parent.members.iter().position(|m| units(&m.key) == key) {
                parent.take_out(index);
            }
        }
        Some(())
    }

    /// Merges the members of another object in.
    pub fn merge(&mut self, path: &[&str], other: &str, incoming_wins: bool) -> Option<()> {
        let other = Self::parse(other);
        if other.members.is_empty() {
            return Some(());
        }
        let target = self.at(path, true)??;
        let before = target.clone();
        for member in &other.members {
            let key = units(&member.key);
            if incoming_wins || before.is_free(&key) {
                let mut value = String::new();
                member.value.write(&mut value);
                target.put(&key, &value);
            }
        }
        Some(())
    }

    /// Takes out members whose key comes again.
    pub fn drop_duplicates(&mut self) {
        let mut index = 0;
        while index < self.members.len() {
            let key = units(&self.members[index].key);
            if self.members[index + 1..].iter().any(|member| units(&member.key) == key) {
                self.take_out(index);
            } else {
                index += 1;
            }
        }
    }

    /// The object at the end of the path: nothing if the path leads through something else; nothing
    /// inside if it is missing.
    fn at(&mut self, path: &[&str], makes: bool) -> Option<Option<&mut Self>> {
        let Some((key, rest)) = path.split_first() else {
            return Some(Some(self));
        };
        let key = units_of(key);
        if self.is_free(&key) {
            if !makes {
                return Some(None);
            }
            self.put(&key, "{}");
        }
        let index = self.find(&key)?;
        match &mut self.members[index].value {
            Node::Tree(tree) => tree.at(rest, makes),
            Node::Leaf(_) => None,
        }
    }

    fn find(&self, key: &[u16]) -> Option<usize> {
        self.members.iter().rposition(|member| units(&member.key) == key)
    }

    fn is_free(&self, key: &[u16]) -> bool {
        self.find(key).is_none_or(|index| self.members[index].value.is_null())
    }

    fn put(&mut self, key: &[u16], value: &str) {
        if let Some(index) = self.find(key) {
            self.members[index].value = Node::parse(value);
            return;
        }
        match self.members.last_mut() {
            Some(last) => last.comma = ",".into(),
            // The white space stays behind what is new.
            None => self.close.insert_str(0, &std::mem::take(&mut self.lead)),
        }
        self.members.push(Member {
            key: write_units(key),
            colon: ":".into(),
            value: Node::parse(value),
            comma: String::new(),
        });
    }

    fn take_out(&mut self, index: usize) {
        let removed = self.members.remove(index);
        if removed.comma.is_empty()
            && let Some(last) = self.members.last_mut()
        {
            last.comma.clear();
        }
    }
}

/// What a JSON string means, in JavaScript's units, which are all that it can mean.
fn units(json: &str) -> Vec<u16> {
    let mut units = Vec::new();
    let mut characters = json[1..json.len() - 1].chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            units.extend(character.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        units.push(match characters.next().expect("an escape has a letter") {
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'b' => 0x08,
            'f' => 0x0c,
            'u' => {
                let digits: String = characters.by_ref().take(4).collect();
                u16::from_str_radix(&digits, 16).expect("an escape has four digits")
            }
            other => other as u16,
        });
    }
    units
}

fn units_of(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// As `serde_json` writes strings; half a surrogate pair as its escape.
fn write_units(units: &[u16]) -> String {
    let body: String = char::decode_utf16(units.iter().copied())
        .map(|unit| match unit {
            Ok(character) => {
                let quoted = serde_json::to_string(&character).expect("a character is JSON");
                quoted[1..quoted.len() - 1].to_owned()
            }
            Err(error) => format!("\\u{:04x}", error.unpaired_surrogate()),
        })
        .collect();
    format!("\"{body}\"")
}
