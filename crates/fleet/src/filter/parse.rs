//! From text to a filter, or to the column that is wrong.

use super::{
    Ask, DEPTH_LIMIT, Key, LENGTH_LIMIT, Node, Pattern, Relation, STARS_LIMIT, VALUES_LIMIT,
};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Why a text is no filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of the filter: {fault}")]
pub struct FilterError {
    /// The character that is wrong, counted from 1.
    pub column: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A key was expected.
    #[error("expected a key, as `region` or `attribute.olt`")]
    NoKey,
    /// There is no such key.
    #[error(
        "there is no key `{0}`: use device, product, hardware, variant, region, home, channel, \
         tag, group, version, version.COMPONENT or attribute.NAME"
    )]
    UnknownKey(String),
    /// A comparison was expected.
    #[error("expected ==, !=, <, <=, >, >=, =in= or =out=")]
    NoComparison,
    /// A value was expected.
    #[error("expected a value")]
    NoValue,
    /// A quoted value has no end.
    #[error("the quotation that begins here has no end")]
    Unquoted,
    /// A list was expected.
    #[error("expected a list of values, as (a,b)")]
    NoList,
    /// A parenthesis has no partner.
    #[error("the parenthesis that begins here has no end")]
    Open,
    /// Something follows that cannot.
    #[error("expected `;` (and), `,` (or) or the end")]
    Trailing,
    /// A star in a comparison by order.
    #[error("`*` has no place in an order")]
    Star,
    /// Over a limit.
    #[error("{0}")]
    Limit(&'static str),
}

impl FilterError {
    /// Two lines that show the filter and point at what is wrong with it.
    pub fn pointer(&self, text: &str) -> String {
        format!("{text}\n{:>width$}", '^', width = self.column)
    }
}

type Parsed<T> = Result<T, FilterError>;

/// Reads a whole filter.
pub(super) fn parse(text: &str) -> Parsed<Node> {
    let mut reader = Reader { text, at: 0, values: 0 };
    if text.len() > LENGTH_LIMIT {
        return Err(reader.fault_at(LENGTH_LIMIT, Fault::Limit("a filter has at most 4096 bytes")));
    }
    let node = reader.either(0)?;
    reader.space();
    if reader.rest().is_empty() { Ok(node) } else { Err(reader.fault(Fault::Trailing)) }
}

struct Reader<'t> {
    text: &'t str,
    /// Bytes that were read.
    at: usize,
    values: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, fault: Fault) -> FilterError {
        self.fault_at(self.at, fault)
    }

    fn fault_at(&self, at: usize, fault: Fault) -> FilterError {
        let before = self.text.char_indices().take_while(|(index, _)| *index < at).count();
        FilterError { column: before + 1, fault }
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes `token` if it is next.
    fn takes(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    /// Takes the sign, or the word if something else than a key goes on behind it.
    fn joins(&mut self, sign: &str, word: &str) -> bool {
        self.space();
        if self.takes(sign) {
            return true;
        }
        let behind = self.rest().strip_prefix(word);
        let whole = behind.is_some_and(|rest| rest.starts_with([' ', '\t', '\n', '(']));
        self.at += if whole { word.len() } else { 0 };
        whole
    }

    fn either(&mut self, depth: usize) -> Parsed<Node> {
        let mut nodes = vec![self.both(depth)?];
        while self.joins(",", "or") {
            nodes.push(self.both(depth)?);
        }
        Ok(single(nodes, Node::Any))
    }

    fn both(&mut self, depth: usize) -> Parsed<Node> {
        let mut nodes = vec![self.part(depth)?];
        while self.joins(";", "and") {
            nodes.push(self.part(depth)?);
        }
        Ok(single(nodes, Node::All))
    }

    fn part(&mut self, depth: usize) -> Parsed<Node> {
        self.space();
        let start = self.at;
        if !self.takes("(") {
            return self.test();
        }
        if depth == DEPTH_LIMIT {
            let fault = Fault::Limit("parentheses nest at most 16 deep");
            return Err(self.fault_at(start, fault));
        }
        let node = self.either(depth + 1)?;
        self.space();
        if self.takes(")") {
            return Ok(node);
        }
        let at_end = self.rest().is_empty();
        Err(if at_end { self.fault_at(start, Fault::Open) } else { self.fault(Fault::Trailing) })
    }

    fn test(&mut self) -> Parsed<Node> {
        let start = self.at;
        let in_key = |c: char| c.is_ascii_alphanumeric() || ".-_:+".contains(c);
        let word = self.run(in_key);
        if word.is_empty() {
            return Err(self.fault(Fault::NoKey));
        }
        let unknown = || Fault::UnknownKey(word.into());
        let key = Key::of(word).ok_or_else(|| self.fault_at(start, unknown()))?;
        self.space();
        Ok(Node::Test(key, self.ask()?))
    }

    fn ask(&mut self) -> Parsed<Ask> {
        const RELATIONS: [(&str, Relation); 8] = [
            ("=lt=", Relation::Less),
            ("=le=", Relation::AtMost),
            ("=gt=", Relation::Greater),
            ("=ge=", Relation::AtLeast),
            ("<=", Relation::AtMost),
            ("<", Relation::Less),
            (">=", Relation::AtLeast),
            (">", Relation::Greater),
        ];
        if self.takes("==") {
            return Ok(Ask::In(vec![self.value()?]));
        }
        if self.takes("!=") {
            return Ok(Ask::NotIn(vec![self.value()?]));
        }
        if self.takes("=in=") {
            return Ok(Ask::In(self.list()?));
        }
        if self.takes("=out=") {
            return Ok(Ask::NotIn(self.list()?));
        }
        let relation = RELATIONS.iter().find(|(token, _)| self.takes(token));
        let (_, relation) = relation.ok_or_else(|| self.fault(Fault::NoComparison))?;
        let start = self.at;
        let Pattern(pieces) = self.value()?;
        match &pieces[..] {
            [bound] => Ok(Ask::Ranks(*relation, bound.clone())),
            _ => Err(self.fault_at(start, Fault::Star)),
        }
    }

    fn list(&mut self) -> Parsed<Vec<Pattern>> {
        self.space();
        let start = self.at;
        if !self.takes("(") {
            return Err(self.fault(Fault::NoList));
        }
        let mut values = vec![self.value()?];
        self.space();
        while self.takes(",") {
            values.push(self.value()?);
            self.space();
        }
        if self.takes(")") { Ok(values) } else { Err(self.fault_at(start, Fault::Open)) }
    }

    fn value(&mut self) -> Parsed<Pattern> {
        self.space();
        let start = self.at;
        self.values += 1;
        if self.values > VALUES_LIMIT {
            return Err(self.fault(Fault::Limit("a filter has at most 256 values")));
        }
        let quote = self.rest().chars().next().filter(|c| matches!(c, '"' | '\''));
        let pattern = match quote {
            Some(quote) => self.quoted(quote)?,
            None => {
                let bare = self.run(|c| !c.is_whitespace() && !"\"'();,<>=!~\\".contains(c));
                if bare.is_empty() {
                    return Err(self.fault_at(start, Fault::NoValue));
                }
                bare.split('*').map(ToString::to_string).collect()
            }
        };
        if pattern.len() > STARS_LIMIT + 1 {
            return Err(self.fault_at(start, Fault::Limit("a value has at most 8 `*`")));
        }
        Ok(Pattern(pattern))
    }

    /// A value between quotes, in which a backslash takes what follows as it is.
    fn quoted(&mut self, quote: char) -> Parsed<Vec<String>> {
        let (mut pieces, mut piece) = (Vec::new(), String::new());
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((index, c)) = chars.next() {
            match c {
                '\\' => piece.extend(chars.next().map(|(_, c)| c)),
                '*' => pieces.push(core::mem::take(&mut piece)),
                c if c == quote => {
                    self.at += index + c.len_utf8();
                    pieces.push(piece);
                    return Ok(pieces);
                }
                c => piece.push(c),
            }
        }
        Err(self.fault(Fault::Unquoted))
    }

    /// Takes the characters that `wanted` holds for.
    fn run(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }
}

fn single(mut nodes: Vec<Node>, many: impl Fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        last => {
            nodes.extend(last);
            many(nodes)
        }
    }
}
