//! BIND key files, as `tsig-keygen` writes them and `nsupdate -k` reads them:
//! `key "name" { algorithm hmac-sha256; secret "base64"; };`
use crate::model::fleet::{TsigAlgorithm, TsigKey};
use crate::model::text::Secret;

/// Why a key file cannot be used. Never shows the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("line {line}: expected {expected}")]
    Syntax { line: usize, expected: &'static str },
    #[error("line {line}: a comment or a quoted text does not end")]
    Unended { line: usize },
    #[error("line {line}: {why}")]
    Name { line: usize, why: String },
    #[error("line {line}: the algorithm {name:?} is not safe any more")]
    Weak { line: usize, name: String },
    #[error("line {line}: the algorithm {name:?} is not known")]
    Algorithm { line: usize, name: String },
    #[error("line {line}: the secret is no base64 text")]
    Secret { line: usize },
    #[error("the key lacks its {what}")]
    Lacks { what: &'static str },
    #[error("line {line}: a second statement begins; the file may hold one key only")]
    More { line: usize },
}

impl KeyError {
    /// What makes a key that can be used.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            KeyError::Weak { .. } | KeyError::Algorithm { .. } => {
                "make a new key with `tsig-keygen -a hmac-sha256 NAME` (hmac-sha256, -sha384 and \
                 -sha512 are known)"
            }
            KeyError::More { .. } => "keep each key in a file of its own",
            KeyError::Syntax { .. }
            | KeyError::Unended { .. }
            | KeyError::Name { .. }
            | KeyError::Secret { .. }
            | KeyError::Lacks { .. } => {
                "a key file holds: key \"NAME\" { algorithm hmac-sha256; secret \"BASE64\"; };  \
                 `tsig-keygen -a hmac-sha256 NAME` makes one"
            }
        }
    }
}

/// Reads the one key of a file.
pub(crate) fn parse(text: &str) -> Result<TsigKey, KeyError> {
    let mut words = Words {
        rest: text,
        line: 1,
    };
    words.expect("key", "the word key")?;
    let (line, name) = words.text("the key's name")?;
    let name = name.parse().map_err(|error| KeyError::Name {
        line,
        why: format!("{error}"),
    })?;
    words.expect("{", "{ after the key's name")?;
    let (mut algorithm, mut secret) = (None, None);
    loop {
        let (line, word) = words.text("algorithm, secret or }")?;
        match word {
            "algorithm" => algorithm = Some(parse_algorithm(words.text("an algorithm")?)?),
            "secret" => secret = Some(parse_secret(words.text("the secret")?)?),
            "}" => break,
            _ => {
                return Err(KeyError::Syntax {
                    line,
                    expected: "algorithm, secret or }",
                });
            }
        }
        words.expect(";", "; at the end of the clause")?;
    }
    words.expect(";", "; after the closing }")?;
    if let Some((line, _)) = words.next()? {
        return Err(KeyError::More { line });
    }
    Ok(TsigKey {
        name,
        algorithm: algorithm.ok_or(KeyError::Lacks { what: "algorithm" })?,
        secret: secret.ok_or(KeyError::Lacks { what: "secret" })?,
    })
}

fn parse_algorithm((line, word): (usize, &str)) -> Result<TsigAlgorithm, KeyError> {
    let name = word.to_ascii_lowercase();
    match name.strip_suffix('.').unwrap_or(&name) {
        "hmac-sha256" => Ok(TsigAlgorithm::HmacSha256),
        "hmac-sha384" => Ok(TsigAlgorithm::HmacSha384),
        "hmac-sha512" => Ok(TsigAlgorithm::HmacSha512),
        "hmac-md5" | "hmac-md5.sig-alg.reg.int" | "hmac-sha1" => Err(KeyError::Weak { line, name }),
        _ => Err(KeyError::Algorithm { line, name }),
    }
}

fn parse_secret((line, word): (usize, &str)) -> Result<Secret, KeyError> {
    let text: String = word.chars().filter(|c| !c.is_whitespace()).collect();
    match data_encoding::BASE64.decode(text.as_bytes()) {
        Ok(bytes) if !bytes.is_empty() => Ok(Secret::new(bytes)),
        Ok(_) | Err(_) => Err(KeyError::Secret { line }),
    }
}

/// Words, quoted texts and `{ } ;`, without blanks and comments (`//`, `#`, `/* */`).
struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Words<'a> {
    fn expect(&mut self, word: &str, expected: &'static str) -> Result<(), KeyError> {
        match self.text(expected)? {
            (_, found) if found == word => Ok(()),
            (line, _) => Err(KeyError::Syntax { line, expected }),
        }
    }

    fn text(&mut self, expected: &'static str) -> Result<(usize, &'a str), KeyError> {
        let line = self.line;
        self.next()?.ok_or(KeyError::Syntax { line, expected })
    }

    /// The next word with its line.
    fn next(&mut self) -> Result<Option<(usize, &'a str)>, KeyError> {
        self.skip_blanks()?;
        let line = self.line;
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        let word = match first {
            '"' => {
                self.advance(1);
                let end = self.rest.find('"').ok_or(KeyError::Unended { line })?;
                let word = self.advance(end);
                self.advance(1);
                word
            }
            '{' | '}' | ';' => self.advance(1),
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"' | '#');
                self.advance(self.rest.find(ends).unwrap_or(self.rest.len()).max(1))
            }
        };
        Ok(Some((line, word)))
    }

    fn skip_blanks(&mut self) -> Result<(), KeyError> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.advance(blanks);
            if self.rest.starts_with("//") || self.rest.starts_with('#') {
                self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/");
                let end = end.ok_or(KeyError::Unended { line: self.line })?;
                self.advance(end + 2);
            } else if blanks == 0 {
                return Ok(());
            }
        }
    }

    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_tsig_keygen_is_read() {
        let key = parse(
            "key \"edge-key\" {\n\talgorithm hmac-sha256;\n\tsecret \"aGVsbG8gd29ybGQ=\";\n};\n",
        );
        let expected = TsigKey {
            name: "edge-key.".parse().unwrap(),
            algorithm: TsigAlgorithm::HmacSha256,
            secret: Secret::from("hello world"),
        };
        assert_eq!(key, Ok(expected.clone()));
        assert!(!format!("{expected:?}").contains("hello"));
    }

    #[test]
    fn comments_order_and_quotes_are_free() {
        let key = parse(
            "# one\n// two\n/* three\n */ key Edge. { secret aGVsbG8gd29ybGQ= ; // s\n\
             algorithm \"HMAC-SHA512\"; };",
        )
        .unwrap();
        assert_eq!(key.name.as_str(), "edge.");
        assert_eq!(key.algorithm, TsigAlgorithm::HmacSha512);
        assert_eq!(key.secret, Secret::from("hello world"));
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_line_and_without_its_secret() {
        let error = |text| parse(text).unwrap_err().to_string();
        let errors = [
            error(""),
            error("options { };"),
            error("key a {\n algorithm hmac-md5;\n secret \"aGk=\"; };"),
            error("key a { algorithm hmac-sha1; };"),
            error("key a { algorithm rot13; };"),
            error("key a { algorithm hmac-sha256;\n secret \"not base64!\"; };"),
            error("key a { algorithm hmac-sha256; };"),
            error("key a { secret \"aGk=\"; };"),
            error("key a { algorithm hmac-sha256 secret \"aGk=\"; };"),
            error("key \"a {"),
            error("/* key"),
            error("key a { algorithm hmac-sha256; secret \"aGk=\"; };\nkey b { };"),
            error("key \"a b\" { };"),
        ];
        insta::assert_snapshot!(errors.join("\n"), @r#"
        line 1: expected the word key
        line 1: expected the word key
        line 2: the algorithm "hmac-md5" is not safe any more
        line 1: the algorithm "hmac-sha1" is not safe any more
        line 1: the algorithm "rot13" is not known
        line 2: the secret is no base64 text
        the key lacks its secret
        the key lacks its algorithm
        line 1: expected ; at the end of the clause
        line 1: a comment or a quoted text does not end
        line 1: a comment or a quoted text does not end
        line 2: a second statement begins; the file may hold one key only
        line 1: "a b" is no domain name: labels are written with a-z, 0-9, - and _
        "#);
    }

    #[test]
    fn a_weak_algorithm_comes_with_the_command_that_makes_a_good_key() {
        let error = parse("key a { algorithm hmac-md5; secret \"aGk=\"; };").unwrap_err();
        assert!(error.hint().contains("tsig-keygen -a hmac-sha256"));
    }
}
