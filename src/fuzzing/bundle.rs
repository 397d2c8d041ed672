//! Several files in one input: a line `%% NAME` begins another file.

/// The files of one input.
pub(crate) struct Bundle<'i> {
    /// What stands before the first such line: the file that the target is about.
    pub(crate) main: &'i [u8],
    pub(crate) others: Vec<(&'i str, &'i [u8])>,
}

/// Begins the name of a file, at the beginning of a line.
const MARK: &[u8] = b"\n%% ";

/// More files say nothing new.
const MAX_OTHERS: usize = 16;

impl<'i> Bundle<'i> {
    pub(crate) fn of(input: &'i [u8]) -> Bundle<'i> {
        let (main, mut rest) = cut(input, MARK);
        let mut others = Vec::new();
        while let Some(file) = rest.filter(|_| others.len() < MAX_OTHERS) {
            let (file, next) = cut(file, MARK);
            let (name, content) = cut(file, b"\n");
            if let Ok(name) = str::from_utf8(name) {
                others.push((name, content.unwrap_or_default()));
            }
            rest = next;
        }
        Bundle { main, others }
    }
}

/// What stands before and after the first `mark`.
fn cut<'i>(bytes: &'i [u8], mark: &[u8]) -> (&'i [u8], Option<&'i [u8]>) {
    match bytes.windows(mark.len()).position(|here| here == mark) {
        Some(at) => (&bytes[..at], Some(&bytes[at + mark.len()..])),
        None => (bytes, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_name_begins_another_file() {
        let bundle = Bundle::of(b"a = 1\n%% b.env\nB=2\n\n%% c\n%% not at a mark: \n%% d");
        assert_eq!(bundle.main, b"a = 1");
        let others: Vec<(&str, &[u8])> = vec![
            ("b.env", b"B=2\n"),
            ("c", b""),
            ("not at a mark: ", b""),
            ("d", b""),
        ];
        assert_eq!(bundle.others, others);
        assert!(Bundle::of(b"").others.is_empty());
    }
}
