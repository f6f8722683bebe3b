//! A Rust file as the rules want to see it: without comments, without the contents of literals, without tests.
//!
//! Everything left out is replaced by blanks, so that a position is the same position, and line, in every view.

use std::collections::BTreeSet;
use std::ops::Range;

/// One Rust file in three views.
pub(super) struct Source {
    pub(super) path: String,
    raw: String,
    code: String,
    product: String,
    product_text: String,
}

impl Source {
    /// Prepares the views. In a file of tests nothing is product.
    pub(super) fn parse(path: &str, raw: &str, is_test: bool) -> Self {
        let mut code = raw.as_bytes().to_vec();
        let mut text = raw.as_bytes().to_vec();
        for token in skipped(raw.as_bytes()) {
            blank(&mut code, token.range());
            if let Skipped::Comment(range) = token {
                blank(&mut text, range);
            }
        }
        let code = into_string(code);
        let mut tests = test_items(&code);
        if is_test {
            tests.push(0..raw.len());
        }
        let without_tests = |mut bytes: Vec<u8>| {
            tests.iter().cloned().for_each(|range| blank(&mut bytes, range));
            into_string(bytes)
        };
        Self {
            path: path.to_owned(),
            raw: raw.to_owned(),
            product: without_tests(code.clone().into_bytes()),
            product_text: without_tests(text),
            code,
        }
    }

    /// The file as it is.
    pub(super) fn raw(&self) -> &str {
        &self.raw
    }

    /// The code, tests included; literals are empty.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// The code that is not for tests only; literals are empty.
    pub(super) fn product(&self) -> &str {
        &self.product
    }

    /// The code that is not for tests only, with its literals.
    pub(super) fn product_text(&self) -> &str {
        &self.product_text
    }
}

/// Returns the line of a position, from 1.
pub(super) fn line_of(text: &str, position: usize) -> usize {
    text.as_bytes()[..position].iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// Returns where `word` stands in `text` as a whole: `a::b` is not found in `aa::b`, nor in `a::bb`.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let at = |bytes: &[u8], at: usize| bytes.get(at).copied().is_some_and(is_word);
    let (begins, ends) = (at(word.as_bytes(), 0), at(word.as_bytes(), word.len() - 1));
    text.match_indices(word).map(|(at, _)| at).filter(move |&start| {
        let goes_on_before = begins && start > 0 && at(text.as_bytes(), start - 1);
        let goes_on_after = ends && at(text.as_bytes(), start + word.len());
        !goes_on_before && !goes_on_after
    })
}

/// Returns what every `use` of the code names, in full: `use a::{b, c::d}` names `a::b` and `a::c::d`.
pub(super) fn imports(code: &str) -> Vec<(usize, String)> {
    let mut imports = Vec::new();
    for at in words(code, "use") {
        let tree = &code[at + 3..];
        let tree = &tree[..tree.find(';').unwrap_or(tree.len())];
        let mut paths = Vec::new();
        flatten("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut paths);
        imports.extend(paths.into_iter().map(|path| (line_of(code, at), path)));
    }
    imports
}

fn flatten(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        Some((head, rest)) => {
            let prefix = format!("{prefix}{}", head.trim());
            for branch in branches(rest.strip_suffix('}').unwrap_or(rest)) {
                flatten(&prefix, branch, paths);
            }
        }
        None if tree.is_empty() => {}
        None => {
            let path = tree.split(" as ").next().unwrap_or(tree).trim();
            paths.push(format!("{prefix}{path}"));
        }
    }
}

/// Splits at the commas that are in no inner pair of braces.
fn branches(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut branches) = (0_usize, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                branches.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&list[start..]);
    branches
}

/// Whether a file holds nothing but tests, by its place or because a module said so.
pub(super) fn is_test(path: &str, declared: &BTreeSet<String>) -> bool {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let by_place = stem.split('/').any(|part| matches!(part, "tests" | "benches")) || stem.ends_with("_tests");
    by_place || declared.iter().any(|module| stem == module || stem.starts_with(&format!("{module}/")))
}

/// Returns the modules that this file declares for tests only, as paths without `.rs`.
pub(super) fn test_modules(path: &str, raw: &str) -> Vec<String> {
    let source = Source::parse(path, raw, false);
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let (directory, name) = stem.rsplit_once('/').unwrap_or((".", stem));
    let children = match name {
        "lib" | "main" | "mod" => directory.to_owned(),
        _ => stem.to_owned(),
    };
    test_items(source.code())
        .into_iter()
        .filter_map(|range| {
            let item = source.code()[range].trim_end();
            let (_, module) = item.strip_suffix(';')?.rsplit_once("mod ")?;
            Some(format!("{children}/{}", module.trim()))
        })
        .collect()
}

/// Finds the items under `#[cfg(test)]`, attribute included.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for attribute in ["#[cfg(test)]", "#[cfg(all(test,"] {
        for (at, _) in code.match_indices(attribute) {
            let start = at + code[at..].find(']').map_or(0, |end| end + 1);
            items.push(at..start + item_length(&code[start..]));
        }
    }
    items
}

/// The length of one item: to its `;`, or over its braces.
fn item_length(code: &str) -> usize {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.saturating_sub(1),
            b'{' => braces += 1,
            b'}' if braces == 0 => return at,
            b'}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return at + 1;
                }
            }
            b';' if braces == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// A stretch that is no code.
enum Skipped {
    Comment(Range<usize>),
    /// What is between the quotes.
    Literal(Range<usize>),
}

impl Skipped {
    fn range(&self) -> Range<usize> {
        let (Self::Comment(range) | Self::Literal(range)) = self;
        range.clone()
    }
}

fn skipped(bytes: &[u8]) -> Vec<Skipped> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let token = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => Some(Skipped::Comment(at..line_end(bytes, at))),
            b'/' if bytes.get(at + 1) == Some(&b'*') => Some(Skipped::Comment(at..block_end(bytes, at))),
            b'"' => Some(Skipped::Literal(at + 1..string_end(bytes, at))),
            b'\'' => char_end(bytes, at).map(|end| Skipped::Literal(at + 1..end)),
            _ => None,
        };
        at = match &token {
            Some(Skipped::Comment(range)) => range.end,
            // Past the closing quote.
            Some(Skipped::Literal(range)) => range.end + 1,
            None => at + 1,
        };
        found.extend(token);
    }
    found
}

fn line_end(bytes: &[u8], start: usize) -> usize {
    let length = bytes[start..].iter().position(|&byte| byte == b'\n');
    length.map_or(bytes.len(), |length| start + length)
}

/// Block comments nest.
fn block_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Returns the position of the closing quote of the string whose opening quote is at `quote`.
fn string_end(bytes: &[u8], quote: usize) -> usize {
    let hashes = bytes[..quote].iter().rev().take_while(|&&byte| byte == b'#').count();
    if is_raw(&bytes[..quote - hashes]) {
        let mut end = vec![b'"'];
        end.resize(1 + hashes, b'#');
        let rest = bytes[quote + 1..].windows(end.len()).position(|window| window == end);
        return rest.map_or(bytes.len(), |length| quote + 1 + length);
    }
    let mut at = quote + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// Whether what stands before a string makes it raw: `r`, `br` or `cr` as a whole word.
fn is_raw(before: &[u8]) -> bool {
    ["r", "br", "cr"].iter().any(|prefix| {
        before.strip_suffix(prefix.as_bytes()).is_some_and(|rest| !rest.last().is_some_and(|&byte| is_word(byte)))
    })
}

/// Returns the closing quote of a character; none where the quote begins a lifetime.
fn char_end(bytes: &[u8], quote: usize) -> Option<usize> {
    if bytes.get(quote + 1) == Some(&b'\\') {
        // The byte after the backslash may itself be a quote.
        let rest = bytes.get(quote + 3..)?.iter().position(|&byte| byte == b'\'')?;
        return Some(quote + 3 + rest);
    }
    let length = match bytes.get(quote + 1)? {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    };
    (bytes.get(quote + 1 + length) == Some(&b'\'')).then_some(quote + 1 + length)
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn blank(bytes: &mut [u8], range: Range<usize>) {
    let end = range.end.min(bytes.len());
    for byte in &mut bytes[range.start.min(end)..end] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("whole literals, comments and items were blanked, never half a character")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, code: &str) {
        assert_eq!(Source::parse("a.rs", raw, false).code(), code);
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("a\"b") g"#, r#"f("    ") g"#);
        check(r##"f(r#"a"b"#) g"##, r##"f(r#"   "#) g"##);
        check(r#"f(r"\") g"#, r#"f(r" ") g"#);
        check(r#"f(b"a//b") g"#, r#"f(b"    ") g"#);
        check(r"f('\'', '/', 'ä') g", r"f('  ', ' ', '  ') g");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("'\"' \"a\"", "' ' \" \"");
    }

    #[test]
    fn unfinished_text_does_not_matter() {
        for raw in ["\"a", "/* a", "r#\"a", "'", "'\\", "\"\\", "#[cfg(test)] mod a {", "#[cfg(test"] {
            assert_eq!(Source::parse("a.rs", raw, false).product().len(), raw.len());
        }
    }

    #[test]
    fn tests_are_no_product() {
        let raw = "a();\n#[cfg(test)]\nmod tests { fn f() { b(); } }\nc();\n#[cfg(test)] use x::{y};\nd();";
        let source = Source::parse("a.rs", raw, false);
        assert_eq!(source.product().split_whitespace().collect::<String>(), "a();c();;d();");
        assert_eq!(source.product().len(), raw.len());
        assert!(source.code().contains("b();"));
        let array = Source::parse("a.rs", "#[cfg(test)] fn f(a: [u8; 3]) { b() } c()", false);
        assert_eq!(array.product().trim(), "c()");
    }

    #[test]
    fn test_files_are_known_by_place_and_declaration() {
        let declared = BTreeSet::from(["crates/a/src/engine/double".to_owned()]);
        for path in [
            "crates/a/tests/kernel.rs",
            "crates/a/src/ipam/tests.rs",
            "crates/a/src/ipam_tests.rs",
            "crates/a/src/engine/double.rs",
            "crates/a/src/engine/double/store.rs",
        ] {
            assert!(is_test(path, &declared), "{path}");
        }
        assert!(!is_test("crates/a/src/engine/doubled.rs", &declared));
        assert_eq!(test_modules("crates/a/src/x.rs", "#[cfg(test)] pub(crate) mod y;"), ["crates/a/src/x/y"]);
    }

    #[test]
    fn imports_are_flattened() {
        let names: Vec<String> =
            imports("use a::{b, c::{d, e as f}};\nuse g::*;").into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["a::b", "a::c::d", "a::c::e", "g::*"]);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("setns resetns setns_all(setns)", "setns").collect::<Vec<_>>(), [0, 24]);
    }
}
