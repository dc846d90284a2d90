//! Labels of closed sets: the texts that stand in columns, events and answers.

/// Gives an enum its labels: lower case, stable.
macro_rules! labels {
    ($name:ident { $($variant:ident => $label:literal),+ $(,)? }) => {
        impl $name {
            /// The label: lower case, stable.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// Reads a label.
            pub fn parse(label: &str) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|one| one.label() == label)
            }
        }
    };
}

pub(crate) use labels;
