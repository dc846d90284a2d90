//! How single settings are read: each kind in its language, a problem noted where it is not that.

use std::time::Duration;

use super::super::raw::Given;
use super::super::settings::{self, Kind, Setting};
use super::super::{Problem, values};
use super::Checker;

impl Checker<'_> {
    pub(super) fn text(&self, setting: &Setting) -> String {
        self.raw.get(setting).map_or_else(|| setting.default.to_owned(), |Given { text, .. }| text.clone())
    }

    pub(super) fn number(&mut self, setting: &Setting) -> u64 {
        let Kind::Number { min, max } = setting.kind else { unreachable!("{} is a number", setting.env) };
        let text = self.text(setting);
        match text.parse() {
            Ok(number) if (min..=max).contains(&number) => number,
            _ => {
                let wrong = format!("{text:?} is not a whole number from {min} to {max}");
                self.refuse(setting, &wrong, &format!("the default is {}", setting.default));
                min
            }
        }
    }

    pub(super) fn duration(&mut self, setting: &Setting) -> Duration {
        let Kind::Duration { min, max } = setting.kind else { unreachable!("{} is a duration", setting.env) };
        let text = self.text(setting);
        match values::duration(&text) {
            Some(duration) if (min..=max).contains(&duration) => duration,
            Some(_) => {
                let (min, max) = (values::print_duration(min), values::print_duration(max));
                self.refuse(
                    setting,
                    &format!("{text:?} is not between {min} and {max}"),
                    &format!("the default is {}", setting.default),
                );
                default_duration(setting)
            }
            None => {
                self.refuse(
                    setting,
                    &format!("{text:?} is not a duration"),
                    "write a number and a unit, like 500ms, 30s or 5m",
                );
                default_duration(setting)
            }
        }
    }

    pub(super) fn boolean(&mut self, setting: &Setting) -> bool {
        let text = self.text(setting);
        values::boolean(&text).unwrap_or_else(|| {
            self.refuse(setting, &format!("{text:?} is neither true nor false"), "write true or false");
            false
        })
    }

    pub(super) fn list<T>(
        &mut self,
        setting: &Setting,
        parse: impl Fn(&str) -> Result<T, String>,
        remedy: &str,
    ) -> Vec<T> {
        let text = self.text(setting);
        let (good, bad): (Vec<_>, Vec<_>) = values::list(&text).map(parse).partition(Result::is_ok);
        for wrong in bad.into_iter().filter_map(Result::err) {
            self.refuse(setting, &wrong, remedy);
        }
        good.into_iter().filter_map(Result::ok).collect()
    }

    /// What came out of a file often ends with a line break. Where it can mean nothing it is refused; in a secret it
    /// may be meant.
    pub(super) fn check_white_space(&mut self) {
        for setting in settings::ALL {
            let Some(Given { text, place }) = self.raw.get(setting) else { continue };
            let is_clean = text.trim() == text && !text.chars().any(char::is_control);
            if is_clean || self.problems.iter().any(|problem| problem.key == *place) {
                continue;
            }
            match setting.kind {
                Kind::Secret => self.warnings.push(format!(
                    "{place} has a line break, another control character or white space around it, which counts as a \
                     part of it"
                )),
                // Written over several lines in some files.
                Kind::List => {}
                Kind::Text | Kind::Url | Kind::Bool | Kind::Number { .. } | Kind::Duration { .. } => {
                    let wrong = "has a line break, another control character or white space around it";
                    self.refuse(setting, wrong, "write it without");
                }
            }
        }
    }

    pub(super) fn refuse(&mut self, setting: &Setting, wrong: &str, remedy: &str) {
        self.problems.push(Problem {
            key: self.raw.place(setting),
            wrong: wrong.to_owned(),
            remedy: remedy.to_owned(),
        });
    }
}

fn default_duration(setting: &Setting) -> Duration {
    values::duration(setting.default).expect("defaults are durations, as a test proves")
}
