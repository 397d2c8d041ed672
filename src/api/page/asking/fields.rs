//! The fields of a form, or of a query.
/// In the order in which they came; a name may come more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::api::page) struct Fields(Vec<(String, String)>);

impl Fields {
    /// `application/x-www-form-urlencoded`: every text is one.
    pub(in crate::api::page) fn read(text: &[u8]) -> Fields {
        Fields(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first of that name; empty where there is none.
    pub(in crate::api::page) fn one(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    pub(in crate::api::page) fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        let of_name = self.0.iter().filter(move |(key, _)| key == name);
        of_name.map(|(_, value)| value.as_str())
    }

    /// Whether a box is ticked.
    pub(in crate::api::page) fn is_on(&self, name: &str) -> bool {
        !self.one(name).is_empty()
    }

    /// Whether this is one of the values of that name.
    pub(in crate::api::page) fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|it| it == value)
    }
}
