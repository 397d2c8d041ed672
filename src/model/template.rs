//! The wording of a message: text with named fields, `{severity} {site}: {text}`.

/// A text with places that are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// What can be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    At,
    Event,
    Fleet,
    Next,
    Rotation,
    Severity,
    Site,
    Text,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("has no field {{{name}}}")]
    Unknown { name: String },
    #[error("has a brace that is not closed, or not opened")]
    Brace,
    #[error("says nothing of what happened")]
    Mute,
}

impl Field {
    /// Every field, in the order of their names.
    pub const ALL: [Field; 8] = [
        Field::At,
        Field::Event,
        Field::Fleet,
        Field::Next,
        Field::Rotation,
        Field::Severity,
        Field::Site,
        Field::Text,
    ];

    /// As it stands between braces.
    pub fn name(self) -> &'static str {
        match self {
            Field::At => "at",
            Field::Event => "event",
            Field::Fleet => "fleet",
            Field::Next => "next",
            Field::Rotation => "rotation",
            Field::Severity => "severity",
            Field::Site => "site",
            Field::Text => "text",
        }
    }
}

impl Template {
    /// Reads `{field}`; `{{` and `}}` are braces.
    ///
    /// # Errors
    /// [`TemplateError`]: a fragment after the text. One that has neither `{text}` nor `{event}` is
    /// one: nobody would know what happened.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
            } else if let (true, Some((name, after))) = (brace == "{", rest.split_once('}')) {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Field(field(name)?));
                rest = after;
            } else {
                return Err(TemplateError::Brace);
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        let says = [Part::Field(Field::Text), Part::Field(Field::Event)];
        if !parts.iter().any(|part| says.contains(part)) {
            return Err(TemplateError::Mute);
        }
        Ok(Template { parts })
    }

    /// The text, with what each field stands for.
    pub fn fill(&self, value: impl Fn(Field) -> String) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => value(*field),
        });
        parts.collect()
    }
}

fn field(name: &str) -> Result<Field, TemplateError> {
    let found = Field::ALL.into_iter().find(|field| field.name() == name);
    found.ok_or_else(|| TemplateError::Unknown {
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let template = Template::parse(text).unwrap();
        template.fill(|field| field.name().to_uppercase())
    }

    #[test]
    fn fields_are_filled_in_and_doubled_braces_are_braces() {
        assert_eq!(filled("{severity} {fleet}: {text}"), "SEVERITY FLEET: TEXT");
        assert_eq!(filled("{{{event}}} {{text}}"), "{EVENT} {text}");
        let all = Field::ALL.map(|field| format!("{{{}}}", field.name()));
        assert_eq!(
            filled(&all.join(" ")),
            "AT EVENT FLEET NEXT ROTATION SEVERITY SITE TEXT"
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let refused = |text| Template::parse(text).unwrap_err();
        let name = "sit".to_owned();
        assert_eq!(refused("{text} {sit}"), TemplateError::Unknown { name });
        for text in ["{text", "text}", "{text} {", "{text} }"] {
            assert_eq!(refused(text), TemplateError::Brace, "{text}");
        }
        for text in ["", "hello", "{site} {{text}}"] {
            assert_eq!(refused(text), TemplateError::Mute, "{text}");
        }
        let name = String::new();
        assert_eq!(refused("{text} {}"), TemplateError::Unknown { name });
    }
}
