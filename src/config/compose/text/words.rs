//! A command written as one string, split into its words.

/// Why a string is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WordsError {
    UnclosedQuote,
    /// Compose drops what follows such a character, silently; no command means that.
    ShellOperator(char),
}

/// Splits as Compose does (mattn/go-shellwords): quotes as in a shell; a backslash takes the next
/// character as it is, but `\n` and `\t` are a line break and a tab; no `#` begins a comment. The
/// libraries for shell words differ in all three.
pub(crate) fn split(text: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => quoted(&mut characters, word.get_or_insert_default(), '\'')?,
            '"' => quoted(&mut characters, word.get_or_insert_default(), '"')?,
            '\\' => word
                .get_or_insert_default()
                .extend(characters.next().map(escaped)),
            ';' | '&' | '|' | '<' | '>' | '(' | '`' => return Err(WordsError::ShellOperator(c)),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(
    characters: &mut std::str::Chars<'_>,
    word: &mut String,
    quote: char,
) -> Result<(), WordsError> {
    while let Some(c) = characters.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => word.extend(characters.next().map(escaped)),
            c => word.push(c),
        }
    }
    Err(WordsError::UnclosedQuote)
}

fn escaped(c: char) -> char {
    match c {
        'n' => '\n',
        't' => '\t',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        let cases: [(&str, &[&str]); 7] = [
            ("nginx -g 'daemon off;'", &["nginx", "-g", "daemon off;"]),
            ("a  b\tc\n", &["a", "b", "c"]),
            (
                r#"sh -c "echo \"$HOME\"\n""#,
                &["sh", "-c", "echo \"$HOME\"\n"],
            ),
            (r"a\ b '' \# '\n'", &["a b", "", "#", r"\n"]),
            ("x # y", &["x", "#", "y"]),
            ("--a='b c'd", &["--a=b cd"]),
            ("", &[]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_could_do_is_refused() {
        assert_eq!(split("a && b"), Err(WordsError::ShellOperator('&')));
        assert_eq!(split("a > b"), Err(WordsError::ShellOperator('>')));
        assert_eq!(split("echo 'a"), Err(WordsError::UnclosedQuote));
        assert_eq!(split("echo \"a\\"), Err(WordsError::UnclosedQuote));
    }
}
